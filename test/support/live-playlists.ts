/** What tests read of playlists over HTTP. */

export const textAt = async (url: string): Promise<string> => (await fetch(url)).text();

/** Number to date (ms since 1970) of each whole segment. */
export const datesOf = (playlist: string): Map<number, number> => {
  const firstMsn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(playlist)![1]);
  const dates = [...playlist.matchAll(/PROGRAM-DATE-TIME:(\S+)/g)].map(([, date]) => Date.parse(date!));
  return new Map(dates.map((date, index) => [firstMsn + index, date]));
};
