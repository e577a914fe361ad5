import type { Translation } from '../../../lib/i18n';
import type { en } from './restore.en';

export const zh: Translation<typeof en> = {
  restore: '恢复',
  'restore.text': '选择在此处或用“pagoda backup”创建的备份。系统会先检查，在做任何更改之前让你看到其中的内容。',
  'restore.choose': '选择备份…',
  'restore.checking': '正在上传并检查 {name}…',
  'restore.found': '备份内容',
  'restore.made': '创建时间',
  'restore.version': 'Pagoda 版本',
  'restore.size': '大小',
  'restore.users': '用户',
  'restore.chats': '对话',
  'restore.messages': '消息',
  'restore.files': '文件',
  'restore.administrators': '管理员',
  'restore.nobody': '没有：恢复后将无人能够管理。',
  'restore.happens': '将会发生什么',
  'restore.replaces': '现有的一切（账号、对话、文件、设置、函数）都会被备份中的内容取代。',
  'restore.aside': '现有内容不会被删除，而是移到服务器数据目录下名为“before-restore-…”的文件夹中。',
  'restore.stops': '正在生成的回答会结束。所有人需要稍等片刻。',
  'restore.signed.out': '所有人都会被登出，你也一样。请用创建备份时有效的账号和密码重新登录。',
  'restore.password': '你现在的密码',
  'restore.do': '恢复此备份',
  'restore.doing': '正在恢复…',
  'restore.command': '也可以停止服务器后在该机器上运行：',
};
