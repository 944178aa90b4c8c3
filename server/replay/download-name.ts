/** The file name a browser offers for a download (RFC 6266), from a title anybody may have written. */

const NAME_MAX_LENGTH = 100;

/** `attachment` with a plain name for old clients and the whole one in UTF-8 (RFC 8187). */
export const contentDisposition = (title: string): string => {
  const name = `${cleaned(title) || 'recording'}.mp4`;
  const plain = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9 ._-]/g, '_');
  return `attachment; filename="${plain}"; filename*=UTF-8''${percentEncoded(name)}`;
};

/** Without what means something to file systems, shells or headers, or cannot be seen. */
const cleaned = (title: string): string =>
  title
    .replaceAll(/[\p{C}\p{Z}\s]+/gu, ' ')
    .replaceAll(/["*/:<>?\\|%;]/g, '_')
    .slice(0, NAME_MAX_LENGTH)
    // Half a character at the cut would not encode.
    .toWellFormed()
    .replaceAll('\ufffd', '')
    .replaceAll(/^[. ]+|[. ]+$/g, '');

const percentEncoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
