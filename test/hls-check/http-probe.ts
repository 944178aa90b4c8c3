/** HTTP as a checker needs it: nothing is decoded or retried behind its back, and each answer says when it came. Follows redirects, keeps cookies. */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as tlsConnect } from 'node:tls';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

export type Answer = {
  readonly url: string;
  /** 0 when there was none. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  readonly sentAtMs: number;
  readonly firstByteAtMs: number;
  readonly lastByteAtMs: number;
  /** Why there was no answer. */
  readonly failure: string | undefined;
};

const REDIRECT_MAX_COUNT = 5;

export class HttpProbe {
  readonly #agents = {
    'http:': new HttpAgent({ keepAlive: true }),
    // Development certificates are made by their server; what is judged here is LL-HLS.
    'https:': new HttpsAgent({ keepAlive: true, rejectUnauthorized: false }),
  };
  readonly #cookies = new Map<string, string>();

  async get(url: string, options: { headers?: Record<string, string>; timeoutMs?: number } = {}): Promise<Answer> {
    let answer = await this.#once(url, options);
    for (let count = 0; count < REDIRECT_MAX_COUNT && isRedirect(answer); count += 1) {
      answer = await this.#once(new URL(answer.headers.location ?? '', answer.url).href, options);
    }
    return answer;
  }

  close(): void {
    this.#agents['http:'].destroy();
    this.#agents['https:'].destroy();
  }

  async #once(url: string, options: { headers?: Record<string, string>; timeoutMs?: number }): Promise<Answer> {
    const target = new URL(url);
    const sentAtMs = performance.now();
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { 'user-agent': 'sluice-hls-check', ...(cookie === '' ? {} : { cookie }), ...options.headers };
    return new Promise((resolve) => {
      const fail = (failure: string): void => {
        const nowMs = performance.now();
        const nothing = { status: 0, headers: {}, body: Buffer.alloc(0), text: '' };
        resolve({ url, ...nothing, sentAtMs, firstByteAtMs: nowMs, lastByteAtMs: nowMs, failure });
      };
      const isTls = target.protocol === 'https:';
      const send = isTls ? httpsRequest : httpRequest;
      const agent = this.#agents[isTls ? 'https:' : 'http:'];
      const timeoutMs = options.timeoutMs ?? 15_000;
      const request = send(target, { agent, headers }, (response) => {
        this.#keepCookies(response);
        collect(response, { url, sentAtMs }).then(resolve, (error: unknown) => fail(String(error)));
      });
      request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      request.on('error', (error) => fail(error.message));
      request.end();
    });
  }

  #keepCookies(response: IncomingMessage): void {
    for (const cookie of response.headers['set-cookie'] ?? []) {
      const [pair = ''] = cookie.split(';');
      const [name = '', ...value] = pair.split('=');
      this.#cookies.set(name.trim(), value.join('='));
    }
  }
}

const isRedirect = (answer: Answer): boolean =>
  [301, 302, 303, 307, 308].includes(answer.status) && answer.headers.location !== undefined;

const collect = async (
  response: IncomingMessage,
  { url, sentAtMs }: { url: string; sentAtMs: number },
): Promise<Answer> => {
  const chunks: Buffer[] = [];
  // Headers alone are no answer: some servers send them at once and hold the body back.
  let firstByteAtMs: number | undefined;
  for await (const chunk of response) {
    firstByteAtMs ??= performance.now();
    chunks.push(chunk as Buffer);
  }
  const lastByteAtMs = performance.now();
  const body = Buffer.concat(chunks);
  return {
    ...{ url, status: response.statusCode ?? 0, headers: response.headers, body, text: decode(response, body) },
    ...{ sentAtMs, firstByteAtMs: firstByteAtMs ?? lastByteAtMs, lastByteAtMs, failure: undefined },
  };
};

const decode = (response: IncomingMessage, body: Buffer): string => {
  const type = response.headers['content-type'] ?? '';
  const coding = response.headers['content-encoding'];
  if (/video|audio|octet/.test(type)) {
    return '';
  }
  const plain = coding === 'gzip' ? gunzipSync(body) : coding === 'br' ? brotliDecompressSync(body) : body;
  return plain.toString('utf8');
};

/** What a TLS server says it speaks; undefined for plain HTTP. */
export const negotiatedProtocol = async (url: string): Promise<string | undefined> => {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'https:') {
    return undefined;
  }
  return new Promise((resolve) => {
    const socket = tlsConnect(
      {
        host: hostname,
        port: Number(port || 443),
        servername: hostname,
        ALPNProtocols: ['h2', 'http/1.1'],
        rejectUnauthorized: false,
      },
      () => {
        resolve(socket.alpnProtocol === false || socket.alpnProtocol === null ? 'none' : socket.alpnProtocol);
        socket.destroy();
      },
    );
    socket.on('error', (error) => resolve(error.message));
  });
};
