// The licences of what the bundle carries, written beside it: their authors ask for no more than that.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const BUNDLED = ['svelte', 'marked', 'remend', 'dompurify', 'highlight.js', '@fontsource-variable/hanken-grotesk'];

/** Reads the licence of every bundled package; a package without one fails the build. */
export function licenseText(root = 'node_modules') {
  return BUNDLED.map((name) => {
    const folder = join(root, name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `Licensed under ${license}.`;
    if (!file && !license) throw new Error(`${name} names no licence`);
    return `${name} ${version} (${license})\n\n${text}\n`;
  }).join(`\n${'-'.repeat(78)}\n\n`);
}

/** @returns {import('vite').Plugin} */
export function thirdPartyLicenses() {
  return {
    name: 'third-party-licenses',
    apply: 'build',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'THIRD_PARTY_LICENSES.txt', source: licenseText() });
    },
  };
}
