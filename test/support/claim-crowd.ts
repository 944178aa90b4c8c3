/** A crowd that claims over keep-alive connections, each with one claim under way, as fast as it is answered. */
import type { RawResponse } from './raw-http.ts';
import { RawConnection } from './raw-http.ts';

export type CrowdClaim = { readonly path: string; readonly token: string; readonly keepsBody: boolean };

export type CrowdOptions = {
  readonly port: number;
  readonly connectionCount: number;
  /** What to claim next; undefined: nothing any more. */
  readonly next: () => CrowdClaim | undefined;
  readonly onAnswer: (claim: CrowdClaim, response: RawResponse) => void;
  /** The connection has ended before the answer came, or the server could not be reached. */
  readonly onLost: (claim: CrowdClaim) => void;
};

/** Resolves when nothing is left to claim, or when all connections are lost. */
export const runCrowd = async (options: CrowdOptions): Promise<void> => {
  await Promise.all(Array.from({ length: options.connectionCount }, async () => runOne(options)));
};

const runOne = async ({ port, next, onAnswer, onLost }: CrowdOptions): Promise<void> =>
  new Promise((resolve) => {
    const connection = new RawConnection({ host: '127.0.0.1', port });
    const step = (): void => {
      const claim = next();
      if (claim === undefined) {
        connection.close();
        resolve();
        return;
      }
      const lines = `Authorization: Bearer ${claim.token}\r\nContent-Length: 0\r\n`;
      connection.send(
        { method: 'POST', path: claim.path, lines, keepsBody: claim.keepsBody },
        (response) => {
          onAnswer(claim, response);
          step();
        },
        () => {
          onLost(claim);
          connection.close();
          resolve();
        },
      );
    };
    step();
  });
