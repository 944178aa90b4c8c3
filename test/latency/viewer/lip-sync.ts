/**
 * Lip-sync as a viewer has it: when does the beep sound against when does the flash show? A script in the page taps the playing
 * element's sound with WebAudio, finds the onset of each beep in the samples, and gives its instant on the output's own clock.
 * The flash's onset comes from the stamp reader's frames. Positive offset: the sound is late.
 */
import type { Page } from 'playwright-core';
import type { ReadFrame } from './stamp-reader.ts';

type ProbeWindow = {
  sluiceReader: { video(): HTMLVideoElement | null };
  sluiceSound: { takeOnsets(): number[]; peak(): number };
};

/** A flash and a beep further apart than this do not belong together. */
const PAIR_MAX_MS = 450;
const FLASH_LUMA = 128;

/** Runs in the page. */
const installProbe = async (): Promise<void> => {
  const THRESHOLD = 0.05;
  const REARM_S = 0.4;
  const video = (globalThis as unknown as ProbeWindow).sluiceReader.video();
  if (video === null) {
    throw new Error('no video element plays');
  }
  // A player keeps the sound's state itself and would mute its element again.
  const root = video.getRootNode();
  for (const owner of [video, root instanceof ShadowRoot ? root.host : video] as HTMLVideoElement[]) {
    owner.muted = false;
    owner.volume = 1;
  }
  const audio = new AudioContext({ latencyHint: 'interactive' });
  await audio.resume();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 4096;
  if (video.srcObject instanceof MediaStream) {
    audio.createMediaStreamSource(video.srcObject).connect(analyser);
  } else {
    const source = audio.createMediaElementSource(video);
    source.connect(analyser);
    source.connect(audio.destination);
  }
  // The graph is pulled only where it ends in the destination.
  const silence = audio.createGain();
  silence.gain.value = 0;
  analyser.connect(silence).connect(audio.destination);
  const samples = new Float32Array(analyser.fftSize);
  let onsets: number[] = [];
  let lastOnsetS = -1;
  let readUntilS = 0;
  let peak = 0;

  const scan = (): void => {
    const endS = audio.currentTime;
    analyser.getFloatTimeDomainData(samples);
    const startS = endS - samples.length / audio.sampleRate;
    for (let k = 0; k < samples.length; k += 1) {
      const atS = startS + k / audio.sampleRate;
      const level = Math.abs(samples[k]!);
      peak = Math.max(peak, level);
      if (atS > readUntilS && level > THRESHOLD) {
        if (atS - lastOnsetS > REARM_S) {
          const clock = audio.getOutputTimestamp();
          const heardMs = (clock.performanceTime ?? 0) + (atS - (clock.contextTime ?? 0)) * 1000;
          onsets.push(performance.timeOrigin + heardMs);
        }
        lastOnsetS = atS;
      }
    }
    readUntilS = endS;
  };
  setInterval(scan, 20);
  (globalThis as unknown as ProbeWindow).sluiceSound = {
    takeOnsets: () => {
      const taken = onsets;
      onsets = [];
      return taken;
    },
    peak: () => {
      const value = peak;
      peak = 0;
      return value;
    },
  };
};

/** Starts listening to the page's playing element (which is unmuted by it). */
export const startSoundProbe = async (page: Page): Promise<void> => {
  await page.evaluate(installProbe);
};

/** Unix ms of the beeps' onsets since the last call. */
export const takeBeeps = async (page: Page): Promise<number[]> =>
  page.evaluate(() => (globalThis as unknown as ProbeWindow).sluiceSound.takeOnsets());

/** Greatest sample since the last call, 0…1: is there any sound? */
export const takePeak = async (page: Page): Promise<number> =>
  page.evaluate(() => (globalThis as unknown as ProbeWindow).sluiceSound.peak());

/** Unix ms of the first frame of each flash. */
export const findFlashes = (frames: readonly ReadFrame[]): number[] =>
  frames.flatMap((frame, k) => {
    const before = frames[k - 1];
    const isOnset = before !== undefined && before.flashLuma < FLASH_LUMA && frame.flashLuma >= FLASH_LUMA;
    return isOnset ? [frame.shownAtWallMs] : [];
  });

/** Sound against picture, one value for each flash that has its beep. */
export const pairOffsets = (flashesMs: readonly number[], beepsMs: readonly number[]): number[] =>
  flashesMs.flatMap((flashMs) => {
    const nearest = beepsMs.reduce(
      (best, beepMs) => (Math.abs(beepMs - flashMs) < Math.abs(best - flashMs) ? beepMs : best),
      Number.POSITIVE_INFINITY,
    );
    return Math.abs(nearest - flashMs) <= PAIR_MAX_MS ? [nearest - flashMs] : [];
  });
