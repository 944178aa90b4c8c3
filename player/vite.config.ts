/** Builds the pages and the web component: `vite build --config player/vite.config.ts` writes `player/dist/`. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';
import { framePage } from './pages/frame.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const pageFrame: Plugin = {
  name: 'page-frame',
  transformIndexHtml: {
    order: 'pre',
    handler: (html, { path }) => framePage(html, path.replace(/(?:index)?\.html$/, '')),
  },
};

/** `/examples/shop.html`: the file that shops begin with, playing from the server that it came from. */
const serveExample: Plugin = {
  name: 'serve-example',
  writeBundle: async ({ dir }) => {
    const folder = join(dir ?? here('dist'), 'examples');
    const page = await readFile(here('examples/shop.html'), 'utf8');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'shop.html'), page.replaceAll('"http://localhost:8080', '"'));
  },
};

/** Not worth a file of its own below. */
const COMPRESSED_MIN_BYTES = 1_024;
const COMPRESSED = /\.(?:js|css|html)$/;

/** Beside each file, what the server hands to browsers that take it so. */
const compressOutput: Plugin = {
  name: 'compress-output',
  closeBundle: async () => {
    const folder = here('dist');
    for (const name of (await readdir(folder, { recursive: true })).filter((each) => COMPRESSED.test(each))) {
      const bytes = await readFile(join(folder, name));
      if (bytes.byteLength >= COMPRESSED_MIN_BYTES) {
        await writeFile(join(folder, `${name}.br`), brotliCompressSync(bytes));
        await writeFile(join(folder, `${name}.gz`), gzipSync(bytes, { level: 9 }));
      }
    }
  },
};

export default defineConfig({
  plugins: [pageFrame, serveExample, compressOutput],
  root: here('.'),
  base: '/',
  logLevel: 'warn',
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2023',
    // The component is loaded from other origins too: its chunks are found relative to itself, without preload links.
    modulePreload: false,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: {
        index: here('index.html'),
        watch: here('watch.html'),
        replays: here('replays.html'),
        replay: here('replay.html'),
        studio: here('studio.html'),
        dashboard: here('dashboard.html'),
        'sluice-player': here('sluice-player.ts'),
      },
      preserveEntrySignatures: 'allow-extension',
      output: {
        entryFileNames: ({ name }) => (name === 'sluice-player' ? 'sluice-player.js' : 'assets/[name]-[hash].js'),
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
});
