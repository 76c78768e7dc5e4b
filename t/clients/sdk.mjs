// Copyright (C) ngx_http_approval_module contributors
//
// One request by the official SDK of an LLM provider, with its defaults, told
// as a line of JSON:
//
//     node sdk.mjs openai|anthropic URL TEXT

const [which, baseURL, content] = process.argv.slice(2);

const options = { apiKey: 'none', baseURL,
                  defaultHeaders: { 'X-Agent': 'agent-7' } };
const request = { model: 'm', max_tokens: 9,
                  messages: [{ role: 'user', content }] };

const told = {};

try {
    if (which === 'openai') {
        const { default: OpenAI } = await import('openai');

        told.answer = await new OpenAI(options).chat.completions
            .create(request);

    } else {
        const { default: Anthropic } = await import('@anthropic-ai/sdk');

        told.answer = await new Anthropic(options).messages.create(request);
    }

} catch (error) {
    told.error = { status: error.status, name: error.constructor.name,
                   message: error.message };
}

console.log(JSON.stringify(told));
