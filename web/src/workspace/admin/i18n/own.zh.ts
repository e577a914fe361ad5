/** Simplified Chinese sentences of presets and of readers' own connections. */

import type { Translation } from '../../../lib/i18n';
import type { en } from './own.en';

export const zh: Translation<typeof en> = {
  'own.connections.text': '其他兼容 OpenAI 的服务器，仅供您本人使用。由服务器使用您的密钥进行调用，密钥加密保存。',
  presets: '模型预设',
  'presets.text': '预设是在某个模型之上设定系统提示词、参数和名称，会出现在模型列表中。',
  'presets.none': '还没有预设。',
  'presets.create': '新建预设',
  'presets.base': '模型',
  'presets.name': '例如“校对助手”',
  'presets.system.hint': '位于对话的系统提示词之前。',
  'presets.delete': '删除{name}',
  'presets.delete.title': '删除预设“{name}”？',
  'presets.delete.text': '它将从模型列表中消失，使用过它的对话会保留。',
};
