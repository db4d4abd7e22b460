/** The page's script: draws the page and takes up what an earlier visit left. */
import { render } from 'preact';
import { App } from './app.js';
import { beReadyOffline } from './offline.js';
import { Page } from './page.js';
import { problemsHere } from './problems.js';

const app = new App();
const place = document.getElementById('page')!;
place.replaceChildren();
render(<Page app={app} />, place);
for (const text of problemsHere()) app.notice(text);
void app.start();
beReadyOffline();
