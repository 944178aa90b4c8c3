/**
 * `lab.yaml`: which servers (targets), on which links (scenarios), how often. Unknown keys are refused, and all faults are listed
 * together by key path. `examples/lab.yaml` is the annotated manual of it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { WorldError, messageOf } from '../../../server/base/errors.ts';
import { linkScenarioSchema } from '../link/link-scenario.ts';

const NAME = z.string().min(1).max(60);
const DURATION_MS = z.number().int().min(0).max(3_600_000);
const PRESETS = ['zerolatency', 'obs-default', 'obs-tuned', 'video-only'] as const;
const PLAY_KINDS = ['whep', 'll-hls', 'hls', 'http-flv', 'page'] as const;

const SOURCE = z.strictObject({
  preset: z.enum(PRESETS).default('zerolatency'),
  widthPx: z.number().int().min(160).max(3_840).default(640),
  heightPx: z.number().int().min(90).max(2_160).default(360),
  frameRateFps: z.number().int().min(1).max(120).default(30),
  bitrateBps: z.number().int().min(50_000).max(50_000_000).default(1_500_000),
  gopS: z.number().min(0.2).max(20).default(1),
  clip: z.string().min(1).exactOptional(),
});

/** All keys may be left out: a scenario says only what differs from the top. */
const SOURCE_CHANGES = z
  .strictObject(Object.fromEntries(Object.entries(SOURCE.shape).map(([key, schema]) => [key, unwrapped(schema)])))
  .partial() as unknown as z.ZodType<Partial<z.infer<typeof SOURCE>>>;

const COMMAND_SERVER = z.strictObject({
  command: z.array(z.string()).min(1),
  cwd: z.string().min(1).exactOptional(),
  ready: z.string().regex(/^(https?:\/\/.+|[^\s:/]+:\d+)$/, 'expected http(s)://… or HOST:PORT'),
  readyMaxMs: DURATION_MS.default(20_000),
  env: z.record(z.string(), z.string()).default({}),
});

const SLUICE_SERVER = z.strictObject({
  sluice: z.union([z.literal(true), z.record(z.string(), z.unknown())]),
});

const SERVER_KINDS = {
  command: COMMAND_SERVER,
  sluice: SLUICE_SERVER,
  port: z.strictObject({ port: z.number().int().min(1).max(65_535) }),
  pid: z.strictObject({ pid: z.number().int().min(1) }),
};

/** One of `{ command, ready, … }`, `{ sluice }`, `{ port }`, `{ pid }`: the key that is there decides, so that faults are told by their path. */
const SERVER = z.record(z.string(), z.unknown()).transform((tree, context) => {
  const kind = (Object.keys(SERVER_KINDS) as (keyof typeof SERVER_KINDS)[]).find((key) => Object.hasOwn(tree, key));
  const checked = kind === undefined ? undefined : SERVER_KINDS[kind].safeParse(tree);
  if (checked?.success === true) {
    return checked.data;
  }
  const faults = checked?.error.issues ?? [
    { path: [], message: 'expected one of { command, ready, … }, { sluice: true }, { port: N }, { pid: N }' },
  ];
  for (const { path: keyPath, message } of faults) {
    context.addIssue({ code: 'custom', path: [...keyPath], message });
  }
  return z.NEVER;
});

const TARGET = z.strictObject({
  name: NAME,
  server: NAME.exactOptional(),
  push: z.string().regex(/^(rtmps?|https?):\/\//, 'expected rtmp://… or a WHIP address http(s)://…'),
  play: z.strictObject({
    kind: z.enum(PLAY_KINDS),
    url: z.string().regex(/^https?:\/\//, 'expected http(s)://…'),
  }),
});

const SCENARIO = z.strictObject({
  name: NAME,
  link: linkScenarioSchema.exactOptional(),
  source: SOURCE_CHANGES.default({}),
  durationMs: DURATION_MS.min(1_000).exactOptional(),
  settleMs: DURATION_MS.exactOptional(),
});

const LAB = z
  .strictObject({
    title: z.string().max(200).default('Latency lab'),
    seed: z.number().int().min(0).max(0xffff_ffff).default(1),
    repeats: z.number().int().min(1).max(200).default(3),
    durationMs: DURATION_MS.min(1_000).default(30_000),
    settleMs: DURATION_MS.default(3_000),
    warmUpMs: DURATION_MS.default(3_000),
    retryMaxCount: z.number().int().min(0).max(10).default(2),
    sourceLateMaxMs: DURATION_MS.default(80),
    /** Listen for the beeps as well: how far sound and picture are apart. Costs the viewer some processor time. */
    lipSync: z.boolean().default(false),
    /** Keep what Sluice had to send in each run: for the controller's simulator. */
    recordsStream: z.boolean().default(false),
    tracesDir: z.string().min(1).exactOptional(),
    source: SOURCE.default(SOURCE.parse({})),
    servers: z.record(NAME, SERVER).default({}),
    targets: z.array(TARGET).min(1).max(40),
    scenarios: z.array(SCENARIO).min(1).max(200),
  })
  .superRefine((lab, context) => {
    refuseTwins(lab.targets, 'targets', context);
    refuseTwins(lab.scenarios, 'scenarios', context);
    lab.targets.forEach(({ server }, k) => {
      if (server !== undefined && !Object.hasOwn(lab.servers, server)) {
        const known = Object.keys(lab.servers).join(', ') || 'none';
        context.addIssue({
          code: 'custom',
          path: ['targets', k, 'server'],
          message: `no server of this name; known: ${known}`,
        });
      }
    });
  });

/** A whole experiment, checked, defaults filled in. */
export type LabConfig = z.infer<typeof LAB>;
export type LabTarget = z.infer<typeof TARGET>;
export type LabScenario = z.infer<typeof SCENARIO>;
export type LabServer = z.infer<typeof SERVER>;
/** What is encoded and pushed. */
export type LabSource = z.infer<typeof SOURCE>;

/** Throws `WorldError` `LAB_CONFIG_UNREADABLE` or `LAB_CONFIG_INVALID`, whose detail has one line per fault. */
export const readLabConfig = (file: string): LabConfig => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new WorldError('LAB_CONFIG_UNREADABLE', messageOf(error), error);
  }
  return parseLabConfig(text, path.basename(file));
};

/** As `readLabConfig`, from the text of it. */
export const parseLabConfig = (text: string, name = 'lab.yaml'): LabConfig => {
  let tree: unknown;
  try {
    tree = parseYaml(text);
  } catch (error) {
    throw new WorldError('LAB_CONFIG_UNREADABLE', `${name}: ${messageOf(error)}`, error);
  }
  const checked = LAB.safeParse(tree);
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`);
    throw new WorldError('LAB_CONFIG_INVALID', `${name}\n  ${faults.join('\n  ')}`);
  }
  return checked.data;
};

/** What this scenario publishes: its own source over the experiment's. */
export const sourceOf = (lab: LabConfig, scenario: LabScenario): LabSource => ({ ...lab.source, ...scenario.source });

function refuseTwins(named: readonly { readonly name: string }[], key: string, context: z.RefinementCtx): void {
  named.forEach(({ name }, k) => {
    if (named.findIndex((other) => other.name === name) !== k) {
      context.addIssue({ code: 'custom', path: [key, k, 'name'], message: `"${name}" is there twice` });
    }
  });
}

/** A schema without its default. */
function unwrapped(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodDefault ? (schema.unwrap() as z.ZodType) : schema;
}
