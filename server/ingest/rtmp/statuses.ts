/** Which RTMP status goes with which of our codes. Encoders show the status or the description, or only that they failed. */
const STATUS_BY_CODE: ReadonlyMap<string, string> = new Map([
  ['RTMP_NAME_INVALID', 'NetStream.Publish.BadName'],
  ['PUBLISH_NAME_INVALID', 'NetStream.Publish.BadName'],
  ['PUBLISH_NAME_BUSY', 'NetStream.Publish.BadName'],
  ['PUBLISH_KEY_WRONG', 'NetStream.Publish.Denied'],
  ['PUBLISH_KEY_MISSING', 'NetStream.Publish.Denied'],
  ['RTMP_PLAY_UNSUPPORTED', 'NetStream.Play.StreamNotFound'],
  ['RTMP_APP_UNKNOWN', 'NetConnection.Connect.InvalidApp'],
  ['RTMP_IDLE', 'NetStream.Publish.Idle'],
]);

/** Gate codes that name a key are denials, other gate codes bad names; all else failed. */
export const statusFor = (code: string): string => {
  const status = STATUS_BY_CODE.get(code);
  if (status !== undefined) {
    return status;
  }
  if (code.includes('KEY') || code.includes('DENIED')) {
    return 'NetStream.Publish.Denied';
  }
  return code.startsWith('PUBLISH_') ? 'NetStream.Publish.BadName' : 'NetStream.Publish.Failed';
};
