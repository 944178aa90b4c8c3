/** What `npm run load` is asked for, read from its arguments. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { LoadTarget } from './load-messages.ts';

export const USAGE = `npm run load -- --viewers N (--whep URL | --hls URL) [options]

  --viewers N         viewers at a time
  --whep URL          a WHEP endpoint of any server: ICE, DTLS, SRTP, feedback; nothing is decoded
  --hls URL           a multivariant or media playlist: LL-HLS where the server offers it, plain HLS else
  --bearer TOKEN      sent with the requests
  --seconds N         how long is counted, once all have joined (default 30)
  --ramp N            viewers that join a second (default 10)
  --storm             all join at once
  --churn N           viewers a second that leave and are replaced, while it is counted (default 0)
  --vanish RATIO      of those, how many leave without a word, 0 to 1 (default 0.25)
  --loss RATIO        WHEP: media that every viewer loses on the way, 0 to 0.5 (default 0)
  --processes N       processes that hold the viewers (default: cores less one)
  --server-pid N      the server, on this machine: its CPU and memory are told too
  --server-port N     the same, found by a port it listens on
  --server-name NAME  the same, found by the name of its process
  --cpus LIST         cores that the viewers' processes keep to, as taskset has them
  --json              the report as one line of JSON on standard output
`;

export type LoadOptions = {
  readonly target: LoadTarget;
  readonly viewerCount: number;
  readonly durationS: number;
  /** Infinity: a storm. */
  readonly joinsPerS: number;
  readonly churnPerS: number;
  readonly vanishRatio: number;
  readonly processCount: number;
  readonly serverPid?: number;
  readonly serverPort?: number;
  readonly serverName?: string;
  /** taskset's list of cores for the processes that hold the viewers. */
  readonly cpus?: string;
};

export const LOAD_DEFAULTS = {
  durationS: 30,
  joinsPerS: 10,
  churnPerS: 0,
  vanishRatio: 0.25,
  processCount: Math.max(1, availableParallelism() - 1),
} as const;

const VIEWER_MAX_COUNT = 10_000;
const PROCESS_MAX_COUNT = 64;

/** Throws `TypeError` that says what was expected. */
export const readLoadOptions = (args: readonly string[]): LoadOptions & { readonly isJson: boolean } => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      viewers: { type: 'string' },
      whep: { type: 'string' },
      hls: { type: 'string' },
      bearer: { type: 'string' },
      seconds: { type: 'string' },
      ramp: { type: 'string' },
      storm: { type: 'boolean', default: false },
      churn: { type: 'string' },
      vanish: { type: 'string' },
      loss: { type: 'string' },
      processes: { type: 'string' },
      'server-pid': { type: 'string' },
      'server-port': { type: 'string' },
      'server-name': { type: 'string' },
      cpus: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.storm && values.ramp !== undefined) {
    throw new TypeError('--storm and --ramp exclude each other: all at once, or so many a second');
  }
  const serverPid = readNumber('--server-pid', values['server-pid'], { min: 1, max: 2 ** 22, isWhole: true });
  const serverPort = readNumber('--server-port', values['server-port'], { min: 1, max: 65_535, isWhole: true });
  return {
    target: readTarget(values),
    viewerCount: required(
      '--viewers',
      readNumber('--viewers', values.viewers, { min: 1, max: VIEWER_MAX_COUNT, isWhole: true }),
    ),
    durationS: readNumber('--seconds', values.seconds, { min: 1, max: 86_400 }) ?? LOAD_DEFAULTS.durationS,
    joinsPerS: values.storm
      ? Number.POSITIVE_INFINITY
      : (readNumber('--ramp', values.ramp, { min: 0.1, max: 1_000 }) ?? LOAD_DEFAULTS.joinsPerS),
    churnPerS: readNumber('--churn', values.churn, { min: 0, max: 1_000 }) ?? LOAD_DEFAULTS.churnPerS,
    vanishRatio: readNumber('--vanish', values.vanish, { min: 0, max: 1 }) ?? LOAD_DEFAULTS.vanishRatio,
    processCount:
      readNumber('--processes', values.processes, { min: 1, max: PROCESS_MAX_COUNT, isWhole: true }) ??
      LOAD_DEFAULTS.processCount,
    ...(serverPid === undefined ? {} : { serverPid }),
    ...(serverPort === undefined ? {} : { serverPort }),
    ...(values['server-name'] === undefined ? {} : { serverName: values['server-name'] }),
    ...(values.cpus === undefined ? {} : { cpus: readCores(values.cpus) }),
    isJson: values.json,
  };
};

const readTarget = (values: { whep?: string; hls?: string; bearer?: string; loss?: string }): LoadTarget => {
  const { whep, hls, bearer } = values;
  const url = whep ?? hls;
  if (url === undefined || (whep !== undefined && hls !== undefined)) {
    throw new TypeError('one of --whep URL and --hls URL is expected');
  }
  if (!/^https?:\/\/./u.test(url) || !URL.canParse(url)) {
    throw new TypeError(`"${url}" is no http or https URL`);
  }
  const lossRatio = readNumber('--loss', values.loss, { min: 0, max: 0.5 });
  return {
    ...{ kind: whep === undefined ? 'hls' : 'whep', url },
    ...(bearer === undefined ? {} : { bearer }),
    ...(lossRatio === undefined ? {} : { lossRatio }),
  };
};

const readCores = (text: string): string => {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/u.test(text)) {
    throw new TypeError(`--cpus is "${text}"; cores as in 0 or 2-3,5 are expected`);
  }
  return text;
};

const readNumber = (
  name: string,
  text: string | undefined,
  range: { min: number; max: number; isWhole?: boolean },
): number | undefined => {
  if (text === undefined) {
    return undefined;
  }
  const value = Number(text);
  const isFit = value >= range.min && value <= range.max && (range.isWhole !== true || Number.isInteger(value));
  if (text.trim() === '' || !isFit) {
    const what = range.isWhole === true ? 'a whole number' : 'a number';
    throw new TypeError(`${name} is "${text}"; ${what} from ${range.min} to ${range.max} is expected`);
  }
  return value;
};

const required = (name: string, value: number | undefined): number => {
  if (value === undefined) {
    throw new TypeError(`${name} N is missing`);
  }
  return value;
};
