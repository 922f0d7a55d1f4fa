// Builds the page into dist/. Nothing is inlined: the Content-Security-Policy takes files only.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;

/** LiteRT.js picks a WebAssembly build by name at run time; the one for JSPI is not asked for. */
function liteRtBuilds() {
  const folder = path.join(here, 'node_modules', '@litertjs', 'core', 'wasm');
  return {
    name: 'litert-builds',
    generateBundle() {
      for (const name of readdirSync(folder).filter((each) => !each.includes('jspi'))) {
        const source = readFileSync(path.join(folder, name));
        this.emitFile({ type: 'asset', fileName: `litert/${name}`, source });
      }
    },
  };
}

export default defineConfig({
  root: here,
  base: './',
  plugins: [liteRtBuilds()],
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      input: { page: path.join(here, 'index.html'), sw: path.join(here, 'src', 'sw.ts') },
      output: {
        // a service worker rules over the folder that it lies in
        entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
