// The size of the first page: what index.html names and what those scripts import statically.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 150 * 1024;
const DIST = 'dist';
if (!existsSync(join(DIST, 'index.html'))) {
  console.error('There is no dist/ to weigh: npm run build makes it.');
  process.exit(1);
}
const html = readFileSync(join(DIST, 'index.html'), 'utf8');
const first = new Set([...html.matchAll(/(?:src|href)="\.\/([^"]+\.js)"/g)].map((match) => match[1]));
for (const file of first) {
  const source = readFileSync(join(DIST, file), 'utf8');
  for (const match of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) first.add(join('assets', match[1]));
}
let total = 0;
for (const file of first) {
  const bytes = gzipSync(readFileSync(join(DIST, file))).length;
  total += bytes;
  console.log(`${(bytes / 1024).toFixed(1).padStart(7)} KB  ${file}`);
}
const later = readdirSync(join(DIST, 'assets')).filter((file) => file.endsWith('.js')).length;
console.log(`${(total / 1024).toFixed(1).padStart(7)} KB  first page, gzip (budget ${BUDGET / 1024} KB; ${later} script files in all)`);
if (total > BUDGET) {
  console.error('The first page is over its budget.');
  process.exit(1);
}
