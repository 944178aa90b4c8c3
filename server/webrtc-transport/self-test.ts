/** The server asks itself, over every address it announces, what a viewer would ask. What fails is said in plain words; nothing is stopped. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { AnnouncedEndpoint } from './sdp-answer.ts';
import { frameDatagram } from './stream-framing.ts';
import { buildBindingRequest } from './stun.ts';

const ANSWER_MAX_MS = 1_500;

export type SelfTestResult = {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'udp' | 'tcp';
  readonly isReachable: boolean;
};

export type SelfTestReport = {
  readonly isOk: boolean;
  readonly results: readonly SelfTestResult[];
  /** For the operator; empty when all is well. */
  readonly advice: readonly string[];
};

/** What several ports found, as one report. */
export const joinReports = (reports: readonly SelfTestReport[]): SelfTestReport => ({
  isOk: reports.every(({ isOk }) => isOk),
  results: reports.flatMap(({ results }) => results),
  advice: reports.flatMap(({ advice }) => advice),
});

type Credentials = { readonly ufrag: string; readonly password: string };

/** Never rejects; takes 1.5 s at most. */
export const runSelfTest = async (options: {
  endpoints: readonly AnnouncedEndpoint[];
  hasTcp: boolean;
  credentials: Credentials;
}): Promise<SelfTestReport> => {
  const request = buildBindingRequest({
    transactionId: randomBytes(12),
    username: `${options.credentials.ufrag}:self`,
    password: options.credentials.password,
    hasUseCandidate: false,
  });
  const probes = options.endpoints.flatMap((endpoint) => [
    probeUdp(endpoint, request),
    ...(options.hasTcp ? [probeTcp(endpoint, request)] : []),
  ]);
  const results = await Promise.all(probes);
  const advice = results.filter(({ isReachable }) => !isReachable).map(adviceFor);
  return { isOk: advice.length === 0, results, advice };
};

const adviceFor = ({ address, port, protocol }: SelfTestResult): string =>
  `Viewers are told to come to ${address}, but this server could not reach itself there by ${protocol.toUpperCase()} port ${port}. ` +
  `Open that port in the firewall, or forward it to this machine. Behind some routers the address works from outside and not from here.`;

const probeUdp = async (endpoint: AnnouncedEndpoint, request: Buffer): Promise<SelfTestResult> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(endpoint.address) ? 'udp6' : 'udp4');
    const finish = (isReachable: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve({ ...endpoint, protocol: 'udp', isReachable });
    };
    const timer = setTimeout(() => finish(false), ANSWER_MAX_MS);
    socket.once('message', () => finish(true));
    socket.once('error', () => finish(false));
    socket.send(request, endpoint.port, endpoint.address, (error) => {
      if (error !== null) {
        finish(false);
      }
    });
  });

const probeTcp = async (endpoint: AnnouncedEndpoint, request: Buffer): Promise<SelfTestResult> =>
  new Promise((resolve) => {
    const socket = connect({ host: endpoint.address, port: endpoint.port });
    const finish = (isReachable: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
      resolve({ ...endpoint, protocol: 'tcp', isReachable });
    };
    const timer = setTimeout(() => finish(false), ANSWER_MAX_MS);
    socket.once('connect', () => socket.write(frameDatagram(request)));
    socket.once('data', () => finish(true));
    socket.once('error', () => finish(false));
  });
