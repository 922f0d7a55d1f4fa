// Builds the pages into dist/: `probe/`, which the browser runner opens.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;

/** LiteRT.js picks one of its WebAssembly builds by name at run time, so all lie side by side. */
function liteRtBuilds() {
  const folder = path.join(here, 'node_modules', '@litertjs', 'core', 'wasm');
  return {
    name: 'litert-builds',
    generateBundle() {
      for (const name of readdirSync(folder)) {
        const source = readFileSync(path.join(folder, name));
        this.emitFile({ type: 'asset', fileName: `litert/${name}`, source });
      }
    },
  };
}

const OUTER_NAMES = [
  ['typeof _scriptDir !== "undefined" && _scriptDir', 'false'],
  ['Module["mainScriptUrlOrBlob"]||_scriptDir', 'Module["mainScriptUrlOrBlob"]'],
];

/**
 * TF.js hands the text of one function to its threads. That function names a variable outside of
 * itself, and asks whether it is there; a minifier, which sees that it is, drops the question.
 */
function selfContainedThreads() {
  return {
    name: 'self-contained-threads',
    transform(code, id) {
      if (!id.endsWith('tfjs-backend-wasm-threaded-simd.js')) return null;
      return OUTER_NAMES.reduce((text, [from, to]) => {
        if (!text.includes(from)) throw new Error(`TF.js no longer says ${from}`);
        return text.replaceAll(from, to);
      }, code);
    },
  };
}

export default defineConfig({
  root: here,
  base: './',
  plugins: [liteRtBuilds(), selfContainedThreads()],
  build: {
    target: 'es2023',
    chunkSizeWarningLimit: 4096,
    rollupOptions: { input: { probe: path.join(here, 'probe', 'index.html') } },
  },
});
