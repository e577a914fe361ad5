import { expect, it } from 'vitest';
import { moved, paramsOf, stateOf } from '../../src/workspace/admin/logic/params';

it('parameters come back, and those that the form does not show stay', () => {
  const params = { temperature: 0.5, max_tokens: 100, stop: ['x'], chat_template_kwargs: { a: 1 } };
  expect(paramsOf(params, stateOf(params))).toEqual(params);
});

it('an empty field takes a parameter away', () => {
  expect(paramsOf({ temperature: 0.5, top_p: 0.9 }, { temperature: null, top_p: 0 })).toEqual({ top_p: 0 });
});

it('moves by one place and stays inside', () => {
  expect(moved([1, 2, 3], 0, 1)).toEqual([2, 1, 3]);
  expect(moved([1, 2, 3], 2, -1)).toEqual([1, 3, 2]);
  expect(moved([1, 2, 3], 0, -1)).toEqual([1, 2, 3]);
  expect(moved([1, 2, 3], 2, 1)).toEqual([1, 2, 3]);
});
