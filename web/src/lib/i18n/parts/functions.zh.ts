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

  'functions.filters': '此对话的函数',
  'functions.action.done': '{name}：已完成。',
  'functions.status.history': '执行过程',
  'functions.sources': '{count} 个来源',
  'functions.embed': '函数显示的内容',
  'functions.embed.open': '打开 {address}',
  'functions.call.input': '函数需要您输入',
  'functions.call.confirm': '要继续吗？',
  'functions.call.send': '发送',
  'functions.call.yes': '确认',

  'account.functions': '函数',
  'functions.own.text': '部分函数可由您自行设置。',
  'functions.own.none': '没有可由您设置的函数。',
  'functions.valves.saved': '已保存。',
  'functions.valves.none': '没有可设置的内容。',
  'functions.valves.save': '保存设置',
  'functions.valves.default': '默认：{value}',
  'functions.valves.list': '多个值用英文逗号分隔。',
  'functions.valves.json': '以 JSON 书写。',
  'functions.valves.wrong.number': '这不是数字。',
  'functions.valves.wrong.integer': '这不是整数。',
  'functions.valves.wrong.json': '这不是 JSON。',
  'functions.valves.wrong.required': '此项必填。',
  'functions.secret': '已设置，不显示',
};
