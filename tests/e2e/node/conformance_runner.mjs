// node conformance_runner.mjs SUITE BASE [ID...]: runs tests of the public suite http-cache-tests, all at once, and
// prints {id: {kind, passed, why}}.
import { pathToFileURL } from 'node:url'

const [suite, base, ...only] = process.argv.slice(2)
const load = path => import(pathToFileURL(`${suite}/${path}`))
const { runTests, getResults } = await load('client/runner.mjs')
const groups = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]

// The suite was written for a fetch that adds nothing; node's own asks for no-cache when a request is conditional,
// unless these fields are there.
const neutral = [['Pragma', 'foo'], ['Cache-Control', 'nothing-to-see-here']]
function plainFetch (url, init = {}) {
  const headers = [...init.headers ?? []]
  for (const [name, value] of neutral) {
    if (!headers.some(header => header[0].toLowerCase() === name.toLowerCase())) headers.push([name, value])
  }
  return fetch(url, { ...init, headers, cache: undefined })
}

const wanted = groups.map(group => ({
  ...group, tests: group.tests.filter(test => only.length === 0 || only.includes(test.id))
}))
await runTests(wanted, plainFetch, false, base, 1000)
const kinds = Object.fromEntries(groups.flatMap(group => group.tests).map(test => [test.id, test.kind ?? 'required']))
console.log(JSON.stringify(Object.fromEntries(Object.entries(getResults()).map(([id, result]) =>
  [id, { kind: kinds[id], passed: result === true, why: result === true ? '' : String(result[1]) }]))))
