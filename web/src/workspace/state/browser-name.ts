/** What a reader calls the browser and the system of a User-Agent: "Firefox, Windows". */

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\/|Chromium\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Android/, 'Android'],
  [/Linux|X11/, 'Linux'],
];

/** Programs that are no browser are called by their own first word. */
export function browserName(agent: string): string {
  const of = (names: readonly [RegExp, string][]): string | undefined => names.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = of(BROWSERS);
  if (!browser) return agent.split(/[\s/]/)[0] || '–';
  return [browser, of(SYSTEMS)].filter(Boolean).join(', ');
}
