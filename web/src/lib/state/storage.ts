/** The browser's storages, which may be forbidden: reading the property alone can throw. */

export function browserStorage(kind: 'localStorage' | 'sessionStorage'): Storage | null {
  try {
    return window[kind];
  } catch {
    return null;
  }
}
