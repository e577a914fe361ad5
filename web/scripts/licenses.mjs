// The licences of what the bundle carries, written beside it: their authors ask for no more than that.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Carried as fonts and style sheets, which are no modules of a script. */
const BESIDE = ['@fontsource-variable/hanken-grotesk', 'katex'].map((name) => join('node_modules', name));

/** The folder of the package that a module comes from; null for the page's own. */
function folderOf(id) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replace(/^\0/, '').split('?')[0])?.[0] ?? null;
}

function licenseOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file && !license) throw new Error(`${name} names no licence`);
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `Licensed under ${license}.`;
  return { title: `${name} ${version} (${license})`, text };
}

/** The licence of every package that modules come from; a package without one fails the build. */
export function licenseText(modules) {
  const folders = new Set([...modules.flatMap((id) => folderOf(id) ?? []), ...BESIDE]);
  const titles = new Map([...folders].map(licenseOf).map(({ title, text }) => [title, text]));
  return [...titles]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, text]) => `${title}\n\n${text}\n`)
    .join(`\n${'-'.repeat(78)}\n\n`);
}

/** @returns {import('vite').Plugin} */
export function thirdPartyLicenses() {
  return {
    name: 'third-party-licenses',
    apply: 'build',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((output) => (output.type === 'chunk' ? output.moduleIds : []));
      this.emitFile({ type: 'asset', fileName: 'THIRD_PARTY_LICENSES.txt', source: licenseText(modules) });
    },
  };
}
