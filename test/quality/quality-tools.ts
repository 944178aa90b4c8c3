/** The ffmpegs that measure: the system's for everything it can do, and one with libvmaf where there is one. */
import { spawn } from 'node:child_process';

export type QualityTools = {
  readonly ffmpegPath: string;
  readonly ffprobePath: string;
  /** An ffmpeg with libvmaf; undefined: VMAF is left out. */
  readonly vmafFfmpegPath: string | undefined;
};

export type ToolOutput = { readonly stdout: string; readonly stderr: string; readonly elapsedMs: number };

/** What ended a tool, with the last of what it said. */
export class ToolError extends Error {
  constructor(tool: string, detail: string) {
    super(`${tool}: ${detail}`);
    this.name = 'ToolError';
  }
}

const STDERR_KEPT_CHARS = 20_000;
const STDERR_TOLD_LINES = 3;

/** Runs a tool to its end. `onLine`: what it says on standard output, as it says it. Rejects with `ToolError`. */
export const runTool = async (
  tool: string,
  args: readonly string[],
  options: { readonly folder?: string; readonly onLine?: (line: string) => void } = {},
): Promise<ToolOutput> =>
  new Promise((resolve, reject) => {
    const startedAtMs = performance.now();
    const child = spawn(tool, [...args], { cwd: options.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr, rest] = ['', '', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (options.onLine === undefined) {
        stdout += text;
        return;
      }
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(options.onLine);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT_CHARS);
    });
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(new ToolError(tool, error.code === 'ENOENT' ? 'there is no such program' : error.message)),
    );
    child.on('close', (code, signal) => {
      if (code === 0) {
        resolve({ stdout, stderr, elapsedMs: performance.now() - startedAtMs });
      } else {
        const said = stderr.trim().split('\n').slice(-STDERR_TOLD_LINES).join('\n');
        reject(new ToolError(tool, said === '' ? `ended with ${code ?? signal ?? 'nothing'}` : said));
      }
    });
  });

/**
 * `vmafFfmpegPath`: as the caller or `SLUICE_VMAF_FFMPEG` names it, which then must be able to; else the `ffmpeg` of the PATH is tried.
 * Rejects when a named one has no libvmaf.
 */
export const findQualityTools = async (
  named: { readonly vmafFfmpegPath?: string | undefined } = {},
): Promise<QualityTools> => {
  const ffmpegPath = 'ffmpeg';
  const wantedPath = named.vmafFfmpegPath ?? process.env['SLUICE_VMAF_FFMPEG'];
  if (wantedPath !== undefined && wantedPath !== '' && !(await hasVmaf(wantedPath))) {
    throw new ToolError(wantedPath, 'has no filter libvmaf');
  }
  const vmafFfmpegPath = wantedPath || ((await hasVmaf(ffmpegPath)) ? ffmpegPath : undefined);
  return { ffmpegPath, ffprobePath: 'ffprobe', vmafFfmpegPath };
};

const hasVmaf = async (ffmpegPath: string): Promise<boolean> => {
  const { stdout } = await runTool(ffmpegPath, ['-hide_banner', '-filters']);
  return /\slibvmaf\s/.test(stdout);
};
