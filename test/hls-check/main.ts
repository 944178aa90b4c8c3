/**
 * Reads any LL-HLS URL and says which of the rows L1–L29 it keeps: `npm run hls-check -- URL [--seconds 20] [--json]`. Ends with 1 when a MUST is
 * broken, with 2 when there is nothing to check.
 */
import { parseArgs } from 'node:util';
import { checkHls, toTable } from './check.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '20' }, json: { type: 'boolean', default: false } },
});
const [url] = positionals;
const seconds = Number(values.seconds);
if (url === undefined || !URL.canParse(url) || !(seconds >= 2 && seconds <= 3_600)) {
  console.error('usage: npm run hls-check -- URL [--seconds 2…3600] [--json]');
  process.exit(2);
}
try {
  const report = await checkHls(url, { seconds });
  console.log(values.json ? JSON.stringify(report, null, 2) : toTable(report));
  process.exitCode = report.brokenMustCount > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
