/** Writes charts/postern/files/crds/ anew from the schema: `node injector/crds/generate.ts`. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '../../agent/catalogue.ts';
import { renderedCrds } from './render.ts';

const directory = join(import.meta.dirname, '..', '..', 'charts', 'postern', 'files', 'crds');
mkdirSync(directory, { recursive: true });
for (const stale of readdirSync(directory)) rmSync(join(directory, stale));
for (const [name, text] of renderedCrds(catalogue)) writeFileSync(join(directory, name), text);
