/** `npm run load`: many viewers of any server, and what they cost it. Arguments: `load-options.ts`; what comes out: README.md. */
import { messageOf } from '../../../server/base/errors.ts';
import { readLoadOptions, USAGE } from './load-options.ts';
import { toText } from './load-report.ts';
import { runLoad, type LoadProgress } from './load-run.ts';

const showProgress = (unit: string, progress: LoadProgress): void => {
  const line = [
    `${(progress.elapsedMs / 1000).toFixed(0).padStart(4)} s ${progress.phase}`,
    `${progress.viewerCount} viewers`,
    ...(progress.failedCount > 0 ? [`${progress.failedCount} failed`] : []),
    `${progress.packetsPerS.toFixed(0)} ${unit}/s`,
    `${(progress.bitrateBps / 1e6).toFixed(1)} Mbit/s`,
  ].join(', ');
  process.stderr.write(process.stderr.isTTY ? `\r\u001B[K${line}` : `${line}\n`);
};

const main = async (args: readonly string[]): Promise<number> => {
  if (args.length === 0 || args.includes('--help')) {
    process.stdout.write(USAGE);
    return args.length === 0 ? 2 : 0;
  }
  const options = readLoadOptions(args);
  const cancel = new AbortController();
  process.on('SIGINT', () => cancel.abort());
  process.on('SIGTERM', () => cancel.abort());
  const unit = options.target.kind === 'whep' ? 'packets' : 'requests';
  const onProgress = (progress: LoadProgress): void => showProgress(unit, progress);
  const report = await runLoad({ ...options, signal: cancel.signal, onProgress });
  process.stderr.write(process.stderr.isTTY ? '\r\u001B[K' : '');
  process.stdout.write(options.isJson ? `${JSON.stringify(report)}\n` : toText(report));
  return report.joinedCount === 0 ? 1 : 0;
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const hint = error instanceof TypeError ? '\n(npm run load -- --help tells what may be asked)' : '';
  process.stderr.write(`load: ${messageOf(error)}${hint}\n`);
  process.exitCode = 2;
}
