/** What a user writes under `link:` of a lab configuration, checked, and what the model makes of it. */
import { z } from 'zod';
import type { CapacityOptions } from './capacity.ts';
import { Capacity } from './capacity.ts';
import type { LinkModelOptions } from './link-model.ts';
import { loadTrace } from './trace-file.ts';

/** Roughly what home and mobile links hold; CONGESTION.md 5.2. */
const QUEUE_DEFAULT_MS = 250;
/** Five whole packets: less would drop every burst. */
const QUEUE_MIN_BYTES = 7_500;
const REORDER_DEFAULT_MAX_COUNT = 3;
const RATE_MAX_BPS = 10_000_000_000;
const DELAY_MAX_MS = 10_000;

const rateBps = z.number().min(0, 'expected bits a second, 0 for an outage').max(RATE_MAX_BPS);
const delayMs = z.number().min(0).max(DELAY_MAX_MS);
const ratio = z.number().min(0, 'expected a share from 0 to 1').max(1, 'expected a share from 0 to 1, not percent');

const stepSchema = z.strictObject({ durationMs: z.number().positive(), rateBps });

const directionSchema = z
  .strictObject({
    rateBps: rateBps.positive('a rate of 0 for ever carries nothing; use steps for an outage').optional(),
    /** The last rate stays. */
    steps: z.array(stepSchema).min(1).max(10_000).optional(),
    /** A CSV file below the traces folder, such as `4g/x.csv`; looped. */
    trace: z.string().min(1).optional(),
    queueMs: z.number().positive().max(60_000).optional(),
    queueMaxBytes: z.number().int().min(1_500, 'expected room for one packet of 1500 bytes').optional(),
    delayMs: delayMs.optional(),
    jitterMs: delayMs.optional(),
    lossRatio: ratio.optional(),
    lossBurstCount: z.number().min(1, 'a burst has at least one packet').max(10_000).optional(),
    reorderRatio: ratio.optional(),
    reorderMaxCount: z.number().int().min(1).max(64).optional(),
  })
  .superRefine((direction, context) => {
    const fail = (path: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    const capacities = (['rateBps', 'steps', 'trace'] as const).filter((key) => direction[key] !== undefined);
    if (capacities.length > 1) {
      fail(capacities[1]!, `expected one of rateBps, steps and trace, got ${capacities.join(' and ')}`);
    }
    if (direction.queueMs !== undefined && direction.queueMaxBytes !== undefined) {
      fail('queueMs', 'expected one of queueMs and queueMaxBytes');
    }
    const queueKey = direction.queueMs === undefined ? 'queueMaxBytes' : 'queueMs';
    if (capacities.length === 0 && direction[queueKey] !== undefined) {
      fail(queueKey, 'a link without rateBps, steps or trace has no queue');
    }
    if (direction.lossBurstCount !== undefined) {
      const { lossRatio = 0, lossBurstCount } = direction;
      if (lossRatio === 0) {
        fail('lossBurstCount', 'expected lossRatio beside it');
      } else if (lossRatio === 1 || lossBurstCount < lossRatio / (1 - lossRatio)) {
        fail('lossBurstCount', `runs of ${lossBurstCount} cannot make a loss of ${lossRatio}`);
      }
    }
    if (direction.reorderMaxCount !== undefined && direction.reorderRatio === undefined) {
      fail('reorderMaxCount', 'expected reorderRatio beside it');
    }
  });

export const linkScenarioSchema = z
  .strictObject({
    /** Half each way. */
    rttMs: z
      .number()
      .min(0)
      .max(2 * DELAY_MAX_MS)
      .optional(),
    /** Down only. */
    lossRatio: ratio.optional(),
    down: directionSchema.optional(),
    up: directionSchema.optional(),
  })
  .superRefine((scenario, context) => {
    for (const name of ['down', 'up'] as const) {
      if (scenario.rttMs !== undefined && scenario[name]?.delayMs !== undefined) {
        context.addIssue({ code: 'custom', path: [name, 'delayMs'], message: 'expected either rttMs or delayMs' });
      }
    }
    if (scenario.lossRatio !== undefined && scenario.down?.lossRatio !== undefined) {
      context.addIssue({ code: 'custom', path: ['lossRatio'], message: 'stated twice: here and under down' });
    }
  });

/** All optional: an empty scenario is a perfect link. */
export type LinkScenario = z.input<typeof linkScenarioSchema>;
type DirectionScenario = z.input<typeof directionSchema>;

export type LinkPlan = { readonly down: LinkModelOptions; readonly up: LinkModelOptions };

/** Throws `TypeError` that lists every fault by its key. */
export const parseLinkScenario = (value: unknown): LinkScenario => {
  const parsed = linkScenarioSchema.safeParse(value);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `link${keyPath(issue.path)}: ${issue.message}`);
    throw new TypeError(faults.join('; '));
  }
  return parsed.data;
};

const keyPath = (path: readonly PropertyKey[]): string =>
  path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');

/** Reads the traces and fills in the defaults. Throws `TypeError` as `parseLinkScenario` and `loadTrace` do. */
export const planLink = async (scenario: LinkScenario, tracesDir?: string): Promise<LinkPlan> => {
  const checked = parseLinkScenario(scenario);
  const oneWayMs = (checked.rttMs ?? 0) / 2;
  return {
    down: await planDirection(checked.down ?? {}, { delayMs: oneWayMs, lossRatio: checked.lossRatio ?? 0 }, tracesDir),
    up: await planDirection(checked.up ?? {}, { delayMs: oneWayMs, lossRatio: 0 }, tracesDir),
  };
};

const planDirection = async (
  direction: DirectionScenario,
  shorthand: { delayMs: number; lossRatio: number },
  tracesDir?: string,
): Promise<LinkModelOptions> => {
  const capacity = await planCapacity(direction, tracesDir);
  return {
    capacity,
    queueMaxBytes: planQueueBytes(direction, capacity),
    delayMs: direction.delayMs ?? shorthand.delayMs,
    jitterMs: direction.jitterMs ?? 0,
    lossRatio: direction.lossRatio ?? shorthand.lossRatio,
    lossBurstCount: direction.lossBurstCount,
    reorderRatio: direction.reorderRatio ?? 0,
    reorderMaxCount: direction.reorderMaxCount ?? REORDER_DEFAULT_MAX_COUNT,
  };
};

const planCapacity = async (direction: DirectionScenario, tracesDir?: string): Promise<CapacityOptions | undefined> => {
  if (direction.rateBps !== undefined) {
    return { steps: [{ durationMs: 1_000, rateBps: direction.rateBps }], isLooped: false };
  }
  if (direction.steps !== undefined) {
    return { steps: direction.steps, isLooped: false };
  }
  if (direction.trace === undefined) {
    return undefined;
  }
  if (tracesDir === undefined) {
    throw new TypeError(`link: trace ${direction.trace} asks for a folder of traces (--traces DIR)`);
  }
  return { steps: await loadTrace(tracesDir, direction.trace), isLooped: true };
};

const planQueueBytes = (direction: DirectionScenario, capacity: CapacityOptions | undefined): number => {
  if (capacity === undefined) {
    return Infinity;
  }
  if (direction.queueMaxBytes !== undefined) {
    return direction.queueMaxBytes;
  }
  const { meanBps } = new Capacity(capacity);
  return Math.max(QUEUE_MIN_BYTES, Math.round((meanBps * (direction.queueMs ?? QUEUE_DEFAULT_MS)) / 8_000));
};
