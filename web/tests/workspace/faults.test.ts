import { describe, expect, it } from 'vitest';
import { translate, type MessageKey, type Values } from '../../src/lib/i18n';
import { ApiError, errorOf } from '../../src/workspace/api/request';
import { sentenceOf, sentenceOfAnswer } from '../../src/workspace/state/faults';

const zh = (key: MessageKey, values?: Values): string => translate('zh-CN', key, values);
const body = (error: object): string => JSON.stringify({ error });

describe('sentenceOf', () => {
  it('says what the server names, with what stands in it', () => {
    const error = errorOf(413, body({ message: 'Too large.', code: 'too_large', values: { megabytes: 25 } }));
    expect(sentenceOf(error, zh)).toBe('文件超过了允许的 25 MB。');
  });

  it.each([
    [0, {}, '服务器没有响应。请检查连接后重试。'],
    [401, {}, '你已退出登录，请重新登录。'],
    [403, { type: 'permission', code: 403 }, '你的账号没有此权限，请联系管理员。'],
    [403, { type: 'password_expired' }, '请先设置你自己的密码。'],
    [404, { code: 'no_such_code' }, '它已不存在，或不属于你。'],
    [409, { param: 'email' }, '该邮箱已注册过账号。'],
    [502, { type: 'bad gateway' }, '服务器正在启动，请稍候再试。'],
  ])('knows %i %j', (status, error, sentence) => {
    expect(sentenceOf(errorOf(status, body({ message: 'In English.', ...error })), zh)).toBe(sentence);
  });

  it("leaves a function's words, and what it does not know", () => {
    expect(sentenceOf(errorOf(502, body({ message: '余额不足', type: 'function' })), zh)).toBe('余额不足');
    expect(sentenceOf(errorOf(400, body({ message: 'Something new.' })), zh)).toBe('Something new.');
    expect(sentenceOf(errorOf(500, '<html>'), zh)).toBe('服务器出错，原因见其日志。');
    expect(() => sentenceOf(new TypeError('x'), zh)).toThrow(TypeError);
  });

  it('takes no values but words and numbers', () => {
    const error = errorOf(400, body({ message: 'x', code: 'most_tags', values: { count: 20, other: { a: 1 } } }));
    expect(error).toBeInstanceOf(ApiError);
    expect(error.values).toEqual({ count: 20 });
  });
});

describe('sentenceOfAnswer', () => {
  it.each([
    [{ kind: 'overloaded' }, '模型正忙或仍在加载，请稍候再试。'],
    [{ kind: 'too_long' }, '对话已超出模型的上下文长度。请新建对话，或缩短问题。'],
    [{ kind: 'refused', code: 'key_refused' }, '此模型背后的服务器不接受该连接的密钥。'],
    [{ kind: 'not_found', code: 'no_model' }, '此模型已不存在，或未向你的账号开放。'],
    [{ kind: 'refused' }, 'In its own words.'],
    [{}, 'In its own words.'],
  ])('%j', (fault, sentence) => {
    expect(sentenceOfAnswer({ message: 'In its own words.', ...fault }, zh)).toBe(sentence);
  });
});
