/**
 * Keeps the site for offline use: every file is fetched once and then served from the cache.
 *
 * The exporter writes `precache.js` beside this script, with the files and a version. When it has
 * changed, the browser fetches all files again and shows the new site once no tab has the old one
 * open: a page never uses models or thresholds of another version.
 */

interface Scope extends ServiceWorkerGlobalScope {
  readonly precache: { readonly version: string; readonly files: readonly string[] };
}

const scope = self as unknown as Scope;

importScripts('precache.js');

const PREFIX = 'pupila-site-';
const cacheName = `${PREFIX}${scope.registration.scope}-${scope.precache.version}`;
const build = new URL(scope.location.href).searchParams.get('build');

scope.addEventListener('install', (event) => {
  event.waitUntil(keep());
});

scope.addEventListener('activate', (event) => {
  event.waitUntil(forgetOthers());
});

scope.addEventListener('fetch', (event) => {
  if (event.request.method === 'GET') event.respondWith(answer(event.request));
});

async function keep(): Promise<void> {
  const cache = await caches.open(cacheName);
  const requests = scope.precache.files
    .filter(isUsed)
    .map((file) => new Request(file, { cache: 'no-cache' }));
  await cache.addAll(requests);
}

/** A browser uses only one of the runtime's builds, of 9 MB each. */
function isUsed(file: string): boolean {
  return !file.startsWith('litert/') || file.startsWith(`litert/${build}.`);
}

async function forgetOthers(): Promise<void> {
  const mine = `${PREFIX}${scope.registration.scope}-`;
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(mine) && name !== cacheName);
  await Promise.all(old.map((name) => caches.delete(name)));
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request);
  return kept ?? fetch(request);
}

export {};
