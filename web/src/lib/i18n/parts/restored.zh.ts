import type { Translation } from '../index';
import type { en } from './restored.en';

export const zh: Translation<typeof en> = {
  'entry.restored': '备份已恢复。请用创建备份时有效的账号和密码登录。',
};
