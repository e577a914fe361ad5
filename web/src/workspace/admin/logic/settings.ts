/** How settings are grouped, and what has been changed in a form of them. */

import type { Setting, SettingValue } from '../types';

const GROUPS: readonly [string, RegExp][] = [
  ['house', /^(WEBUI_NAME|DEFAULT_LOCALE|DEFAULT_MODELS)$/],
  ['accounts', /^(ENABLE_SIGNUP|DEFAULT_USER_ROLE|ENABLE_INVITATIONS|JWT_EXPIRES_IN)$/],
  ['permissions', /^USER_PERMISSIONS$/],
  ['answers', /^PAGODA_MAX_ANSWER/],
  ['tasks', /^(TASK_MODEL.*|ENABLE_\w+_GENERATION)$/],
  ['connections', /CONNECTION|OPENAI|OLLAMA/],
  ['functions', /FUNCTION|PIP_INSTALL|PLUGIN/],
  ['files', /FILE|UPLOAD|STORAGE/],
];

/** The settings in groups, in the server's order within each; groups without any are left out. */
export function grouped(settings: Record<string, Setting>): { group: string; keys: string[] }[] {
  const left = new Set(Object.keys(settings));
  const groups = GROUPS.map(([group, pattern]) => {
    const keys = [...left].filter((key) => pattern.test(key));
    for (const key of keys) left.delete(key);
    return { group, keys };
  });
  return [...groups, { group: 'other', keys: [...left] }].filter(({ keys }) => keys.length > 0);
}

const sorted = (value: SettingValue): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner,
  );

export const same = (one: SettingValue, other: SettingValue): boolean => sorted(one) === sorted(other);

/** What a form has to send: what differs from the server's; null for what is the default again. */
export function changes(settings: Record<string, Setting>, form: Record<string, SettingValue>): Record<string, SettingValue> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([key, setting]) => {
      const value = form[key];
      if (value === undefined || setting.locked_by !== null || same(value, setting.value)) return [];
      return [[key, same(value, setting.default) ? null : value]];
    }),
  );
}
