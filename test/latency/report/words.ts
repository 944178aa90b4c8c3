/** Numbers and links in words for people. Pure. */
import type { LinkScenario } from '../link/link-scenario.ts';
import type { LabSource } from '../run/lab-config.ts';

/** Anything from outside before it enters HTML. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

export const formatMs = (ms: number): string => {
  if (ms >= 10_000) {
    return `${(ms / 1000).toFixed(1)} s`;
  }
  return ms >= 1_000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(0)} ms`;
};

/** A length of time in a sentence: no more digits than it has. */
export const formatSpan = (ms: number): string => (ms < 1_000 ? `${trimmed(ms)} ms` : `${trimmed(ms / 1_000)} s`);

export const formatPercent = (ratio: number): string => {
  const percent = ratio * 100;
  return percent === 0 ? '0 %' : `${percent.toFixed(percent < 10 ? (percent < 0.1 ? 2 : 1) : 0)} %`;
};

export const formatBytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;

export const formatRate = (bps: number): string =>
  bps >= 1_000_000 ? `${trimmed(bps / 1_000_000)} Mbit/s` : `${trimmed(bps / 1_000)} kbit/s`;

/** "3 Mbit/s towards the viewer, 40 ms round trip, 1 % of packets lost". */
export const describeLink = (link: LinkScenario | undefined): string => {
  if (link === undefined) {
    return 'No emulated link: server and viewer are on one machine.';
  }
  const down = describeDirection(link.down, 'towards the viewer');
  const parts = [
    ...down.slice(0, 1),
    ...(link.rttMs === undefined ? [] : [`${trimmed(link.rttMs)} ms round trip`]),
    ...(link.lossRatio === undefined || link.lossRatio === 0
      ? []
      : [`${sharePercent(link.lossRatio)} of packets lost`]),
    ...down.slice(1),
    ...describeDirection(link.up, 'from the viewer'),
  ];
  return parts.length === 0 ? 'A perfect link.' : `${parts.join(', ')}.`;
};

/** Capacity first. */
const describeDirection = (direction: LinkScenario['down'], where: string): string[] => {
  if (direction === undefined) {
    return [];
  }
  const facts: readonly (string | undefined)[] = [
    capacityWords(direction, where),
    present(direction.delayMs, (value) => `${trimmed(value)} ms delay ${where}`),
    present(direction.jitterMs, (value) => `up to ${trimmed(value)} ms jitter`),
    present(direction.lossRatio, (value) => {
      const burst = direction.lossBurstCount;
      return `${sharePercent(value)} of packets lost${burst === undefined ? '' : ` in bursts of ${trimmed(burst)} on average`}`;
    }),
    present(direction.reorderRatio, (value) => `${sharePercent(value)} of packets out of order`),
    present(direction.queueMs, (value) => `a queue of ${trimmed(value)} ms`),
    present(direction.queueMaxBytes, (value) => `a queue of ${trimmed(value / 1000)} kB`),
  ];
  return facts.filter((fact) => fact !== undefined);
};

const capacityWords = (direction: NonNullable<LinkScenario['down']>, where: string): string | undefined => {
  if (direction.rateBps !== undefined) {
    return `${formatRate(direction.rateBps)} ${where}`;
  }
  if (direction.steps !== undefined) {
    const steps = direction.steps
      .slice(0, 6)
      .map((step) => `${formatRate(step.rateBps)} for ${formatSpan(step.durationMs)}`);
    return `${steps.join(', then ')}${direction.steps.length > 6 ? ' and so on' : ''} ${where}`;
  }
  return direction.trace === undefined ? undefined : `recorded capacity “${direction.trace}” ${where}`;
};

const present = (value: number | undefined, words: (value: number) => string): string | undefined =>
  value === undefined || value === 0 ? undefined : words(value);

const PRESET_WORDS = {
  zerolatency: 'x264 tuned for zero latency, with sound',
  'obs-default': 'OBS’s default settings (x264 with look-ahead and B-frames), with sound',
  'obs-tuned': 'OBS tuned for low latency, with sound',
  'video-only': 'x264 tuned for zero latency, no sound',
} as const;

export const describeSource = (source: LabSource): string =>
  `${source.widthPx}×${source.heightPx} at ${source.frameRateFps} pictures a second, ${formatRate(source.bitrateBps)}, ` +
  `a keyframe every ${trimmed(source.gopS)} s, ${PRESET_WORDS[source.preset]}`;

const sharePercent = (ratio: number): string => `${trimmed(ratio * 100)} %`;

const trimmed = (value: number): string => String(Math.round(value * 100) / 100);
