/**
 * Keeps the site for offline use: every file is fetched once and answered from the cache after.
 *
 * The exporter writes `precache.js` beside this script, which names the files and a version. The
 * browser sees at a visit that it has changed, fetches all anew, and shows the new site once no tab
 * has the old one open: a page never meets models or thresholds of another version than its own.
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

/** Of the runtime's builds, a browser uses one; each is 9 MB. */
function isUsed(file: string): boolean {
  return !file.startsWith('litert/') || file.startsWith(`litert/${build}.`);
}

async function forgetOthers(): Promise<void> {
  const mine = `${PREFIX}${scope.registration.scope}-`;
  const names = await caches.keys();
  const old = names.filter((each) => each.startsWith(mine) && each !== cacheName);
  await Promise.all(old.map((each) => caches.delete(each)));
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request);
  return kept ?? fetch(request);
}

export {};
