/**
 * Makes a bare machine ready: packages, the pinned Node, ffmpeg, a browser for tests, the built player. Runs on any Node
 * from 20 with nothing installed, so it is plain JavaScript and imports only what Node brings. Each step looks first and does nothing
 * when all is there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const CACHE = join(ROOT, 'node_modules', '.cache', 'sluice');

/**
 * Node's, for every server. V8 would let the young half of the heap grow to 128 MB where many watch; with 32 it is collected sooner, and as little is found alive.
 */
export const SERVER_FLAGS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=16'];

export const say = (text) => process.stderr.write(`sluice: ${text}\n`);

/** Ends the set-up with a sentence instead of a stack. */
const giveUp = (text) => {
  say(text);
  process.exit(1);
};

const run = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2], ...options }).status === 0;

export const isOnPath = (program) =>
  (process.env.PATH ?? '').split(':').some((folder) => folder !== '' && existsSync(join(folder, program)));

export const readOr = (path, fallback) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
};

const mark = (name, value) => {
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(join(CACHE, name), value);
};

/** `npm ci`, when node_modules does not match package-lock.json. */
export const ensurePackages = () => {
  const wanted = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  if (readOr(join(CACHE, 'packages'), '') === wanted) {
    return;
  }
  say('installing npm packages (first run or changed lock file; takes about a minute) …');
  if (!run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'])) {
    giveUp('npm ci failed; see above. It needs the npm registry; run `npm start` again when it is reachable.');
  }
  mark('packages', wanted);
};

/** Path of a Node 24: the pinned one, or the one now running when it is new enough. */
export const findNode = () => {
  const pinned = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(pinned)) {
    return pinned;
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) {
    return process.execPath;
  }
  return giveUp(
    `the pinned Node 24 is missing (npm may have been told to run no install scripts) and this Node is ${process.versions.node}. ` +
      'Type: npm rebuild node',
  );
};

/** Installs Debian packages when this is Debian or Ubuntu and we are root. False when that cannot be done here. */
const installDebian = (packages) => {
  if (!isOnPath('apt-get') || process.getuid?.() !== 0) {
    return false;
  }
  say(`installing ${packages.join(', ')} from the system's packages …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // apt talks a lot on its standard output; what goes wrong it says on the other.
  const quietly = { env, stdio: ['ignore', 'ignore', 2] };
  const install = () => run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], quietly);
  return install() || (run('apt-get', ['update', '-qq'], quietly) && install());
};

/** ffmpeg makes sound and repaired pictures for WebRTC. Without it the server still runs, and says what it lacks. */
export const ensureFfmpeg = () => {
  if (isOnPath('ffmpeg') || installDebian(['ffmpeg', 'fonts-dejavu-core'])) {
    return;
  }
  say('ffmpeg is missing: no sound over WebRTC, no repair of B-frames. Type: sudo apt-get install ffmpeg');
};

/** Chromium, for tests and benches only. */
export const ensureBrowser = () => {
  if (isOnPath('chromium') || installDebian(['chromium'])) {
    return;
  }
  giveUp('tests need Chromium with H.264. Type: sudo apt-get install chromium');
};

/** All files below a folder, sorted; what was built is left out. Empty when there is no such folder. */
export const filesBelow = (folder) => {
  if (!existsSync(join(ROOT, folder))) {
    return [];
  }
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? (entry.name === 'dist' ? [] : filesBelow(path)) : [path];
    })
    .toSorted();
};

/** Builds the player when its sources are newer than what is built. */
export const ensurePlayer = (node) => {
  const sources = [...filesBelow('player'), ...filesBelow('server/api/contract'), 'package-lock.json'];
  const stampOf = (path) => `${path} ${statSync(join(ROOT, path)).size} ${statSync(join(ROOT, path)).mtimeMs}`;
  const stamp = sources.map(stampOf).join('\n');
  const wanted = createHash('sha256').update(stamp).digest('hex');
  if (readOr(join(CACHE, 'player'), '') === wanted && existsSync(join(ROOT, 'player/dist'))) {
    return;
  }
  say('building the player …');
  try {
    execFileSync(
      node,
      ['node_modules/vite/bin/vite.js', 'build', '--config', 'player/vite.config.ts', '--logLevel', 'warn'],
      {
        cwd: ROOT,
        stdio: ['ignore', 2, 2],
      },
    );
  } catch {
    giveUp('building the player failed; see above.');
  }
  mark('player', wanted);
};
