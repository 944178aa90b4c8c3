/**
 * Viewers of LL-HLS at 2.5 Mbit/s with sound and parts of 333 ms: the server's CPU per viewer, beside nginx that serves the very same files from a
 * RAM disk, in the same run, each pinned to the same core, the viewers on the other. nginx has no playlist to hold back and nothing to ingest.
 */
import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { NginxProcess, nginxMissing } from '../support/nginx-process.ts';
import { cpuMs } from '../support/process-usage.ts';
import { withinValue } from '../support/wait.ts';
import { LOAD_CPU, SERVER_CPU, idleCpuRatio, openHlsStage } from './hls-blocked.ts';
import type { HlsStage } from './hls-blocked.ts';
import { startHlsLoad } from './hls-load-process.ts';
import type { HlsLoadReport } from './hls-load.ts';
import type { Bench, BenchRow } from './row.ts';

const VIEWER_COUNT = 200;
const DURATION_S = process.env['SLUICE_SIZE'] === 'soak' ? 30 : 10;
const PART_MS = 333;
const PART_COUNT = 12;

const NGINX_HTTP = `sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 10000000; keepalive_timeout 300;
  open_file_cache max=1000 inactive=300s; types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; }
  server { listen LISTEN backlog=4096; location / { root ROOT; add_header Cache-Control "public, max-age=31536000, immutable"; } }`;

export const hlsBesideNginxBench: Bench = {
  name: 'hls-beside-nginx',
  run: async () => {
    const missing = nginxMissing();
    if (missing !== false) {
      console.error(`hls-beside-nginx is not run: ${missing}`);
      return [];
    }
    const files = await mkdtemp('/dev/shm/sluice-hls-bench-');
    try {
      const ours = await measureOurs(files);
      return toRows(ours, await measureNginx(files));
    } finally {
      await rm(files, { recursive: true, force: true });
    }
  },
};

type Measured = { readonly report: HlsLoadReport; readonly usedMs: number; readonly idleMs: number };

const measureOurs = async (files: string): Promise<Measured> => {
  const stage = await openHlsStage();
  try {
    await copyFiles(stage, files);
    const idleRatio = await idleCpuRatio(stage.sluice, 5_000);
    const load = await startHlsLoad({
      ...{ mode: 'viewer', port: stage.sluice.ports.http, playlists: stage.playlists, viewerCount: VIEWER_COUNT },
      ...{ durationS: DURATION_S, cpus: LOAD_CPU },
    });
    const before = stage.sluice.cpuMs({ withChildren: false });
    const report = await load.report;
    const usedMs = stage.sluice.cpuMs({ withChildren: false }) - before;
    return { report, usedMs, idleMs: idleRatio * report.elapsedMs };
  } finally {
    await stage.stop();
  }
};

/** A playlist and the parts that it lists, of each rendition. */
const copyFiles = async ({ sluice, playlists }: HlsStage, files: string): Promise<void> => {
  for (const playlist of playlists) {
    const text = await withinValue(10_000, `${PART_COUNT} parts are listed`, async () => {
      const answer = await (await fetch(`${sluice.httpUrl}${playlist}`)).text();
      return (answer.match(/EXT-X-PART:/g)?.length ?? 0) >= PART_COUNT ? answer : undefined;
    });
    const folder = path.join(files, path.basename(playlist, '.m3u8'));
    await mkdir(folder);
    await writeFile(path.join(folder, 'index.m3u8'), text);
    const uris = [...text.matchAll(/EXT-X-PART:[^\n]*URI="([^"]+)"/g)].map(([, uri]) => uri ?? '').slice(0, PART_COUNT);
    for (const [index, uri] of uris.entries()) {
      const part = await fetch(`${sluice.httpUrl}${path.posix.dirname(playlist)}/${uri}`);
      await writeFile(path.join(folder, `part-${index}.m4s`), new Uint8Array(await part.arrayBuffer()));
    }
  }
};

const measureNginx = async (files: string): Promise<Measured> => {
  const nginx = await NginxProcess.start({ http: NGINX_HTTP.replace('ROOT', files), cpus: SERVER_CPU });
  try {
    const load = await startHlsLoad({
      ...{ mode: 'files', port: nginx.port, playlists: ['/video/index.m3u8', '/audio/index.m3u8'] },
      ...{ viewerCount: VIEWER_COUNT, durationS: DURATION_S, cpus: LOAD_CPU, partMs: PART_MS, partCount: PART_COUNT },
    });
    const before = cpuMs(nginx.pid, { withChildren: false });
    const report = await load.report;
    return { report, usedMs: cpuMs(nginx.pid, { withChildren: false }) - before, idleMs: 0 };
  } finally {
    await nginx.stop();
  }
};

const toRows = (ours: Measured, nginx: Measured): BenchRow[] => {
  const perViewer = ({ report, usedMs, idleMs }: Measured): number => {
    // By the parts that came: who was served late was served less.
    const viewers = report.partCount / (2 * (report.elapsedMs / PART_MS));
    return (usedMs - idleMs) / report.elapsedMs / viewers;
  };
  const noteOf = ({ report }: Measured): string =>
    [
      `${report.responseCount} answers, ${((report.bytes * 8) / report.elapsedMs / 1e3 / VIEWER_COUNT).toFixed(2)} Mbit/s each`,
      `client ${((100 * report.cpuMs) / report.elapsedMs).toFixed(0)} % of its core`,
      report.failures.join('; ') || 'none failed',
    ].join(', ');
  const [own, theirs] = [perViewer(ours), perViewer(nginx)];
  return [
    { name: 'LL-HLS viewers per core', value: 1 / own, unit: 'viewers', note: noteOf(ours) },
    { name: 'nginx, same files from a RAM disk', value: 1 / theirs, unit: 'viewers', note: noteOf(nginx) },
    {
      name: "nginx's viewers per core / ours (2.5: we carry 40 % of nginx)",
      value: own / theirs,
      unit: 'x',
      target: { max: 2.5 },
    },
  ];
};
