/** Writes docs/settings.md from the records of the settings: node tools/make-docs/settings.mjs, after npm run build. */
import { writeFileSync } from 'node:fs';
import { settingsDocs } from '../../dist/report/settings-docs.js';

writeFileSync(new URL('../../docs/settings.md', import.meta.url), settingsDocs());
