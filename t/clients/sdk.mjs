// Copyright (C) ngx_http_approval_module contributors
//
// One call of an LLM provider by an SDK, with the SDK's defaults, told as a
// line of JSON; of a stream each part is told as it comes, to stderr:
//
//     node sdk.mjs openai|anthropic|ai URL CALL
//
// CALL is of the tables below. KEY is the agent's.

const [which, baseURL, call] = process.argv.slice(2);

const key = process.env.KEY ?? 'none';
const headers = { 'X-Agent': 'agent-7' };
const request = { model: 'm', max_tokens: 9,
                  messages: [{ role: 'user', content: 'hello' }] };

const calls = {

    async openai() {
        const { default: OpenAI } = await import('openai');
        const client = new OpenAI({ apiKey: key, baseURL,
                                    defaultHeaders: headers });
        const chat = (more) => client.chat.completions
            .create({ ...request, ...more });

        return {
            chat,
            stream: async () => {
                for await (const part of await chat({ stream: true })) {
                    console.error(part.choices[0].delta.content);
                }
            },
            costly: () => chat({ model: 'm-pro' }),
            research: () => chat({ model: 'm-deep-research' }),
            search: () => client.responses.create({
                model: 'm', input: 'hello', tools: [{ type: 'web_search' }] }),
            tool: () => chat({ tools: [{ type: 'function', function:
                { name: 'f', parameters: { type: 'object' } } }] }),
            upload: () => client.files.create({
                purpose: 'batch', file: new File(['x'], 'x.jsonl') }),
            batch: () => client.batches.create({
                input_file_id: 'file-1', endpoint: '/v1/chat/completions',
                completion_window: '24h' }),
            tune: () => client.fineTuning.jobs.create({
                model: 'm', training_file: 'file-1' }),
            assistant: () => client.beta.assistants.create({ model: 'm' }),
        };
    },

    async anthropic() {
        const { default: Anthropic } = await import('@anthropic-ai/sdk');
        const client = new Anthropic({ apiKey: null, authToken: key, baseURL,
                                       defaultHeaders: headers });
        const chat = (more) => client.messages.create({ ...request, ...more });

        return {
            chat,
            stream: async () => {
                for await (const part of await chat({ stream: true })) {
                    console.error(part.delta?.text ?? part.type);
                }
            },
            costly: () => chat({ model: 'm-opus' }),
            search: () => chat({ tools: [{ type: 'web_search_20250305',
                                           name: 'web_search' }] }),
            upload: () => client.beta.files.upload({
                file: new File(['x'], 'x.txt') }),
            batch: () => client.messages.batches.create({
                requests: [{ custom_id: 'a', params: request }] }),
        };
    },

    async ai() {
        const { createOpenAI } = await import('@ai-sdk/openai');
        const { generateText, streamText } = await import('ai');
        const of = (model) => ({ prompt: 'hello', model:
            createOpenAI({ apiKey: key, baseURL, headers }).chat(model) });
        const chat = async (model) => (await generateText(of(model))).text;

        return {
            chat: () => chat('m'),
            costly: () => chat('m-pro'),
            research: () => chat('m-deep-research'),
            stream: async () => {
                for await (const part of streamText(of('m')).textStream) {
                    console.error(part);
                }
            },
        };
    },
};

const told = {};

try {
    told.answer = await (await calls[which]())[call]();

} catch (error) {
    const last = error.lastError ?? error;

    told.error = { status: last.status ?? last.statusCode,
                   name: error.constructor.name, message: error.message };
}

console.log(JSON.stringify(told));
