/** The sentences of the administration. They come with its code, so readers who never open it do not load them. */

import { fill, type Translation, type Values } from '../../../lib/i18n';
import { useShared } from '../../../lib/state/shared';
import { en as pages } from './en';
import { en as functions } from './functions.en';
import { zh as functionsZh } from './functions.zh';
import { en as hub } from './hub.en';
import { zh as hubZh } from './hub.zh';
import { en as limits } from './limits.en';
import { zh as limitsZh } from './limits.zh';
import { en as live } from './live.en';
import { zh as liveZh } from './live.zh';
import { en as own } from './own.en';
import { zh as ownZh } from './own.zh';
import { en as restore } from './restore.en';
import { zh as restoreZh } from './restore.zh';
import { zh as pagesZh } from './zh';

const en = { ...pages, ...functions, ...hub, ...limits, ...live, ...restore, ...own };
const zh: Translation<typeof en> = { ...pagesZh, ...functionsZh, ...hubZh, ...limitsZh, ...liveZh, ...restoreZh, ...ownZh };

export type AdminKey = keyof typeof en;

const MESSAGES: Record<'en' | 'zh-CN', Translation<typeof en>> = { en, 'zh-CN': zh };

export type AdminText = (key: AdminKey, values?: Values) => string;

/** Gives the function that fills a sentence in the language shown. To be called while a component is made. */
export function useAdminText(): AdminText {
  const { preferences } = useShared();
  return (key, values) => fill(preferences.shown, MESSAGES[preferences.shown][key], values);
}

/** The sentence of a key that is put together from parts, or `otherwise` where there is none. */
export function textOr(text: AdminText, key: string, otherwise: string): string {
  return key in en ? text(key as AdminKey) : otherwise;
}
