/** Builds the pages and the web component: `vite build --config player/vite.config.ts` writes `player/dist/`. */
import { fileURLToPath } from 'node:url';
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

export default defineConfig({
  plugins: [pageFrame],
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
