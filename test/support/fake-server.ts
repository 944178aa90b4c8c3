/**
 * A stand-in for the server, for tests of the player alone: the built pages, a WHEP door that does as it is told, LL-HLS from
 * parts made once by ffmpeg and released by the clock, and the socket.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WebSocketServer, type WebSocket } from 'ws';
import type { CueMessage } from '../../server/api/contract/cues.ts';
import type { BroadcastSummary, ClientMessage, ServerMessage, WatchState } from '../../server/api/contract/socket.ts';
import { tempFolder } from './temp-folder.ts';

const PART_MS = 1000 / 3;
const PARTS_PER_SEGMENT = 6;
const WINDOW_SEGMENTS = 6;
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.mp4': 'video/mp4',
  '.m4s': 'video/mp4',
};

/** Parts of 333 ms, each starting with a keyframe, with sound. */
export const makeParts = async (durationS: number): Promise<{ folder: string; remove(): Promise<void> }> => {
  const folder = tempFolder('fake');
  const source = `testsrc2=size=640x360:rate=30:duration=${durationS}`;
  const encode =
    '-c:v libx264 -preset ultrafast -profile:v baseline -pix_fmt yuv420p -g 10 -keyint_min 10 -sc_threshold 0';
  const pack = '-c:a aac -f hls -hls_segment_type fmp4 -hls_time 0.3 -hls_list_size 0 -hls_fmp4_init_filename init.mp4';
  await promisify(execFile)(
    'ffmpeg',
    [
      ...['-v', 'error', '-f', 'lavfi', '-i', source, '-f', 'lavfi', '-i', `sine=frequency=440:duration=${durationS}`],
      ...encode.split(' '),
      ...pack.split(' '),
      ...['-hls_segment_filename', join(folder, 'part%d.m4s'), join(folder, 'list.m3u8')],
    ],
    { cwd: folder },
  );
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
};

/** What the WHEP door does: a status to refuse with, `silent` (201 and never a packet), or the answer to the offer. */
export type WhepMode = number | 'silent' | ((offer: string) => Promise<string>);

export class FakeServer {
  whep: WhepMode = 'silent';
  readonly requests: string[] = [];
  readonly clientMessages: ClientMessage[] = [];
  broadcasts: BroadcastSummary[] = [];
  /** Said to each socket at first. */
  cues: CueMessage | null = null;
  #state: WatchState = 'live';
  #broadcastId = 'broadcast-1';
  #startedAtMs = performance.now();
  #server: Server | undefined;
  readonly #sockets = new Set<WebSocket>();
  readonly #distFolder: string;
  readonly #partsFolder: string;
  #port = 0;

  constructor(options: { distFolder: string; partsFolder: string }) {
    this.#distFolder = options.distFolder;
    this.#partsFolder = options.partsFolder;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get state(): WatchState {
    return this.#state;
  }

  /** Listens; again on the same port after `stop`. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    const webSockets = new WebSocketServer({ server });
    webSockets.on('connection', (socket, request) => this.#greet(socket, request));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#sockets.forEach((socket) => socket.terminate());
    server?.closeAllConnections();
    server?.close();
    await (server === undefined ? undefined : once(server, 'close'));
  }

  setState(state: WatchState): void {
    this.#state = state;
    this.#sockets.forEach((socket) => this.#sendState(socket));
  }

  /** A new broadcast of the same name: media begins again. `agoMs`: as if it had started earlier. */
  begin(broadcastId: string, agoMs = 0): void {
    this.#broadcastId = broadcastId;
    this.#startedAtMs = performance.now() - agoMs;
    this.setState('live');
  }

  send(message: ServerMessage): void {
    this.#sockets.forEach((socket) => socket.send(JSON.stringify(message)));
  }

  #greet(socket: WebSocket, request: IncomingMessage): void {
    this.requests.push(`WS ${request.url}`);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('message', (text: Buffer) => {
      const message = JSON.parse(text.toString()) as ClientMessage;
      this.clientMessages.push(message);
      if (message.type === 'ping') {
        const serverWallMs = performance.timeOrigin + performance.now();
        socket.send(JSON.stringify({ type: 'pong', id: message.id, serverWallMs } satisfies ServerMessage));
      }
    });
    this.#sendState(socket);
    if (this.cues !== null) {
      socket.send(JSON.stringify(this.cues));
    }
  }

  #sendState(socket: WebSocket): void {
    const message = { type: 'state', state: this.#state, viewerCount: 3, broadcastId: this.#broadcastId } as const;
    socket.send(JSON.stringify(message satisfies ServerMessage));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    this.requests.push(`${request.method} ${url.pathname}`);
    if (url.pathname.startsWith('/whep/')) {
      await this.#answerWhep(request, response);
    } else if (url.pathname.startsWith('/hls/')) {
      await this.#answerHls(url, response);
    } else if (url.pathname.startsWith('/api/broadcasts')) {
      const one = this.broadcasts.find(({ name }) => url.pathname.endsWith(`/${name}`));
      send(response, 200, 'application/json', JSON.stringify(one ?? { broadcasts: this.broadcasts }));
    } else {
      const path =
        url.pathname === '/' ? '/index.html' : url.pathname.startsWith('/watch/') ? '/watch.html' : url.pathname;
      const body = await readFile(join(this.#distFolder, path)).catch(() => null);
      send(response, body === null ? 404 : 200, TYPES[extname(path)] ?? 'text/plain', body ?? 'nothing here');
    }
  }

  async #answerWhep(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const offer = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    if (request.method !== 'POST') {
      send(response, 200, 'text/plain', '');
    } else if (typeof this.whep === 'number') {
      send(response, this.whep, 'text/plain', 'no');
    } else {
      const answer = this.whep === 'silent' ? silentAnswer(offer) : await this.whep(offer);
      response.setHeader('location', '/whep/session/1');
      response.setHeader('link', '</ws/demo?session=secret>; rel="urn:sluice:socket"');
      send(response, 201, 'application/sdp', answer);
    }
  }

  async #answerHls(url: URL, response: ServerResponse): Promise<void> {
    const file = url.pathname.split('/').at(-1) ?? '';
    const [, kind = '', index = ''] = /^(part|segment)(\d+)\.m4s$/.exec(file) ?? [];
    if (this.#state === 'absent' || this.#state === 'waiting') {
      send(response, 404, 'text/plain', 'not live');
    } else if (file === 'index.m3u8') {
      send(response, 200, 'application/vnd.apple.mpegurl', MULTIVARIANT);
    } else if (file === 'video.m3u8') {
      const part = Number(url.searchParams.get('_HLS_msn') ?? 0) * PARTS_PER_SEGMENT;
      await this.#partReady(part + Number(url.searchParams.get('_HLS_part') ?? 0));
      send(response, 200, 'application/vnd.apple.mpegurl', this.#playlist());
    } else if (kind === 'part') {
      await this.#partReady(Number(index));
      send(response, 200, 'video/mp4', await this.#read(file));
    } else if (kind === 'segment') {
      const first = Number(index) * PARTS_PER_SEGMENT;
      const files = Array.from({ length: PARTS_PER_SEGMENT }, (_, place) => this.#read(`part${first + place}.m4s`));
      send(response, 200, 'video/mp4', Buffer.concat(await Promise.all(files)));
    } else {
      send(response, 200, 'video/mp4', await this.#read(file));
    }
  }

  #read(file: string): Promise<Buffer> {
    return readFile(join(this.#partsFolder, file));
  }

  #partCount(): number {
    return Math.floor((performance.now() - this.#startedAtMs) / PART_MS);
  }

  async #partReady(index: number): Promise<void> {
    while (this.#partCount() <= index) {
      await sleep(5);
    }
  }

  #playlist(): string {
    const partCount = this.#partCount();
    const newest = Math.floor(partCount / PARTS_PER_SEGMENT);
    const oldest = Math.max(0, newest - WINDOW_SEGMENTS);
    const startedAtWallMs = performance.timeOrigin + this.#startedAtMs;
    const lines = [
      '#EXTM3U',
      '#EXT-X-VERSION:9',
      '#EXT-X-TARGETDURATION:2',
      '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.1',
      '#EXT-X-PART-INF:PART-TARGET=0.33334',
      `#EXT-X-MEDIA-SEQUENCE:${oldest}`,
      '#EXT-X-MAP:URI="init.mp4"',
    ];
    for (let segment = oldest; segment <= newest; segment += 1) {
      const startWallMs = startedAtWallMs + segment * PARTS_PER_SEGMENT * PART_MS;
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(startWallMs).toISOString()}`);
      if (segment >= newest - 2) {
        lines.push(...partLines(segment * PARTS_PER_SEGMENT, partCount));
      }
      if (segment < newest) {
        lines.push('#EXTINF:2.00000,', `segment${segment}.m4s`);
      }
    }
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part${partCount}.m4s"`);
    return `${lines.join('\n')}\n`;
  }
}

const MULTIVARIANT = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=1500000,RESOLUTION=640x360,FRAME-RATE=30,CODECS="avc1.42c01e,mp4a.40.2"
video.m3u8
`;

/** Those of one segment that are ready. */
const partLines = (first: number, partCount: number): string[] =>
  Array.from({ length: PARTS_PER_SEGMENT }, (_, place) => first + place)
    .filter((part) => part < partCount)
    .map((part) => `#EXT-X-PART:DURATION=0.33333,INDEPENDENT=YES,URI="part${part}.m4s"`);

const send = (response: ServerResponse, status: number, type: string, body: string | Buffer): void => {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
};

/** An answer that a browser takes, from a peer that will never be heard of: its one candidate is a closed port. */
const silentAnswer = (offer: string): string => {
  const [session = '', ...sections] = offer.split(/^(?=m=)/m);
  const head = session.split('\r\n').filter((line) => !/^a=(msid-semantic|extmap-allow-mixed)/.test(line));
  const answered = sections.map((section) =>
    [
      ...section
        .split('\r\n')
        .filter((line) => line !== '' && !/^a=(candidate|ice-|fingerprint|setup|recvonly|rtcp:|ssrc)/.test(line)),
      'a=sendonly',
      'a=setup:passive',
      'a=ice-ufrag:fake',
      'a=ice-pwd:fakefakefakefakefakefake',
      `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
      'a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host',
      '',
    ].join('\r\n'),
  );
  return [head.join('\r\n'), ...answered].join('');
};
