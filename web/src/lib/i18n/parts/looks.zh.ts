/** Simplified Chinese sentences about what stands in an answer. */

import type { Translation } from '../index';
import type { en } from './looks.en';

export const zh: Translation<typeof en> = {
  'diagram.show': '显示图表',
  'diagram.source': '显示源码',
  'diagram.label': '图表',
  'diagram.alt': '图表，源码为：{source}',
  'diagram.problem': '无法绘制此图表。',
};
