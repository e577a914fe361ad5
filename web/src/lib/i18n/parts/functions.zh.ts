/** Simplified Chinese sentences about plugin functions and the news at the page's edge. */

import type { Translation } from '../index';
import type { en } from './functions.en';

export const zh: Translation<typeof en> = {
  notices: '通知',
  'notices.close': '关闭通知',
  'notices.info': '提示：',
  'notices.success': '完成：',
  'notices.warning': '警告：',
  'notices.error': '错误：',
};
