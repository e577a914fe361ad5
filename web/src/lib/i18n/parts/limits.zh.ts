import type { Translation } from '../index';
import type { en } from './limits.en';

export const zh: Translation<typeof en> = {
  'limits.atOnce': '同时为你生成的回答已达到上限。请等其中一个结束后再发送。',
  'limits.time': '此回答已达到允许的最长时间，到此结束。',
};
