/** Starts the page: language, tabs, the runtime, and the service worker for offline use. */

import './style.css';
import { listenForErrors } from '../shared/litert_log';
import { startAnswering } from './answering';
import { startBenchmark } from './benchmark';
import { chainView } from './chain';
import { diagnosisView } from './diagnosis';
import { element, translateDocument } from './dom';
import { locatorView } from './locator';
import { type Runtime, Workbench, startRuntime } from './model';
import { singleModels } from './single';
import { readSite } from './site';
import { chainStages } from './stages';
import { startTabs } from './tabs';
import { type Language, inEveryLanguage, language, switchTo, text } from './texts';

listenForErrors();
const site = await readSite();
const bench = new Workbench(startRuntime());

document.body.classList.toggle('locating', site.chained || site.task === 'localization');
startLanguages();
startTabs(element('tabs'));
element('unfiltered').hidden = site.chained || site.filter !== null;
element('study-card').hidden = site.study === null;
if (site.chained) {
  const stages = chainStages(bench);
  startAnswering(site.models, stages, chainView(stages, site.verdicts));
} else if (site.task === 'localization') {
  startAnswering(site.models, singleModels(site.filter, bench, true), locatorView(site.margin));
} else startAnswering(site.models, singleModels(site.filter, bench, false), diagnosisView(site.verdicts));
startBenchmark(site, bench);
await keepForOffline(await bench.runtime);

function startLanguages(): void {
  const chooser = element<HTMLSelectElement>('language');
  chooser.value = language();
  chooser.addEventListener('change', () => switchTo(chooser.value as Language));
  inEveryLanguage(() => {
    document.documentElement.lang = language();
    document.title = site.title || text('title');
    translateDocument();
    element('title').textContent = document.title;
  });
}

/** Keep all files, but only the runtime's build in use. */
async function keepForOffline({ build }: Runtime): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.register(`sw.js?build=${build}`);
  await navigator.serviceWorker.ready;
  element('offline').hidden = false;
}
