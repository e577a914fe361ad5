import type { Translation } from '../index';
import type { en } from './limits.en';

export const zh: Translation<typeof en> = {
  'limits.time': '此回答已达到允许的最长时间，到此结束。',
};
