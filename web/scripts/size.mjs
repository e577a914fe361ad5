// The size of each page's first load: what its HTML names and what those scripts import statically.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 150 * 1024;
const DIST = 'dist';
if (!existsSync(join(DIST, 'index.html'))) {
  console.error('There is no dist/ to weigh: npm run build makes it.');
  process.exit(1);
}
const later = readdirSync(join(DIST, 'assets')).filter((file) => file.endsWith('.js')).length;
const pages = readdirSync(DIST).filter((file) => file.endsWith('.html'));
const kilobytes = (bytes) => (bytes / 1024).toFixed(1).padStart(7);
let over = false;
for (const page of pages) {
  const html = readFileSync(join(DIST, page), 'utf8');
  const first = new Set([...html.matchAll(/(?:src|href)="\.\/([^"]+\.js)"/g)].map((match) => match[1]));
  for (const file of first) {
    const source = readFileSync(join(DIST, file), 'utf8');
    for (const match of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) first.add(join('assets', match[1]));
  }
  let total = 0;
  for (const file of first) {
    const bytes = gzipSync(readFileSync(join(DIST, file))).length;
    total += bytes;
    console.log(`${kilobytes(bytes)} KB  ${file}`);
  }
  console.log(`${kilobytes(total)} KB  ${page}, gzip (budget ${BUDGET / 1024} KB; ${later} script files in all)`);
  over ||= total > BUDGET;
}
if (over) {
  console.error('A page is over its budget at its first load.');
  process.exit(1);
}
