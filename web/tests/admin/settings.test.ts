import { expect, it } from 'vitest';
import { changes, grouped } from '../../src/workspace/admin/logic/settings';
import type { Setting, SettingValue } from '../../src/workspace/admin/types';

const setting = (value: SettingValue, default_: SettingValue, locked_by: string | null = null): Setting => ({
  value, default: default_, locked_by, kind: 'text', choices: [],
});

it('changes are what differs; the default is told as null; what is locked is left alone', () => {
  const settings = {
    A: setting('a', 'z'),
    B: setting('b', 'z'),
    C: setting('c', 'z'),
    D: setting('d', 'z', 'D'),
    E: setting({ x: true, y: false }, {}),
  };
  const form = { A: 'a', B: 'new', C: 'z', D: 'new', E: { y: false, x: true } };
  expect(changes(settings, form)).toEqual({ B: 'new', C: null });
});

it('every setting is in exactly one group', () => {
  const keys = ['WEBUI_NAME', 'ENABLE_TITLE_GENERATION', 'USER_PERMISSIONS', 'SOMETHING_NEW'];
  const groups = grouped(Object.fromEntries(keys.map((key) => [key, setting(null, null)])));
  expect(groups.flatMap((group) => group.keys).sort()).toEqual([...keys].sort());
  expect(groups.find((group) => group.group === 'other')?.keys).toEqual(['SOMETHING_NEW']);
});
