import type { Translation } from '../../../lib/i18n';
import type { en } from './limits.en';

export const zh: Translation<typeof en> = {
  'settings.group.answers': '回答',
  'settings.group.answers.text': '适用于对话中的回答。调用 /v1 的程序另有限制。',
  'setting.PAGODA_MAX_ANSWER_TOKENS': '单个回答的最多词元数',
  'setting.PAGODA_MAX_ANSWER_TOKENS.hint': '留空表示以上下文剩余空间为限。读者可以让回答继续。',
  'setting.PAGODA_MAX_ANSWER_MINUTES': '单个回答的最长分钟数',
  'setting.PAGODA_MAX_ANSWER_MINUTES.hint': '留空表示不限时。等待模型的时间也计算在内；已写出的内容会保留。',
  'setting.PAGODA_USER_STORAGE': '每位用户的文件存储上限（MB）',
  'setting.PAGODA_USER_STORAGE.hint': '0 表示不限。不再被任何消息引用的文件会在一天后删除。',
  'setting.PAGODA_AUDIT_DAYS': '审计日志保留天数',
  'setting.PAGODA_AUDIT_DAYS.hint': '更早的记录会被删除，用量数据会保留。',
  'setting.PAGODA_MAX_ANSWERS_AT_ONCE': '每位用户同时进行的回答数',
  'setting.PAGODA_MAX_ANSWERS_AT_ONCE.hint': '多个模型并排回答时，每个模型计为一个。',
};
