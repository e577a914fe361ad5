/** Simplified Chinese sentences about functions. */

import type { Translation } from '../../../lib/i18n';
import type { en } from './functions.en';

export const zh: Translation<typeof en> = {
  'models.filters': '用于此模型的过滤器',
  'models.filters.default': '新对话中默认开启的过滤器',
  'models.actions': '回答下方的操作',
  'models.capabilities': '能力',
  'models.capabilities.own': '以其服务器为准',
  'models.capabilities.vision': '能看图片',
  'models.capabilities.tools': '能调用工具',
  'models.capabilities.reasoning': '回答前先思考',
  'functions.off': '已关闭',
  'functions.output': 'pip 的输出',
  'functions.import': '导入',
  'functions.imported': '已导入 {count} 个函数，均处于关闭状态。',
  'functions.import.left': '未导入：{name}。{reason}',
  'functions.export': '全部导出',
  'functions.import.wrong': '此文件既不是函数（.py），也不是函数的导出文件（.json）。',
};
