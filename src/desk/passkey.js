/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Has a form's vote signed by a passkey, or makes one, before the form is
 * posted. What is signed: see docs/design.md, "Passkey votes".
 */

(() => {
    'use strict';

    const minutes = 60000;

    const base64url = (buffer) =>
        btoa(String.fromCharCode(...new Uint8Array(buffer)))
            .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

    const bytes = (hex) =>
        Uint8Array.from(hex.match(/../g), (digits) => parseInt(digits, 16));

    const hex = (buffer) =>
        [...new Uint8Array(buffer)]
            .map((byte) => byte.toString(16).padStart(2, '0')).join('');

    const hash = (text) =>
        crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));


    async function vote(form) {
        const fields = form.elements, page = form.dataset;
        const decision = fields.break_glass ? 'break_glass'
                                            : fields.decision.value;
        const comment = hex(await hash(fields.comment.value));

        const { rawId, response } = await navigator.credentials.get({
            publicKey: {
                challenge: await hash([page.shown, decision,
                                       comment].join('\n')),
                rpId: page.rp,
                userVerification: 'required',
                timeout: 2 * minutes,
            },
        });

        return [rawId, response.clientDataJSON, response.authenticatorData,
                response.signature];
    }


    async function enrol(form) {
        const page = form.dataset;

        const { rawId, response } = await navigator.credentials.create({
            publicKey: {
                challenge: bytes(page.shown),
                rp: { id: page.rp, name: page.rp },
                user: { id: bytes(page.user), name: page.name,
                        displayName: page.name },
                pubKeyCredParams: [-7, -8, -257].map(
                    (alg) => ({ type: 'public-key', alg })),
                authenticatorSelection: {
                    residentKey: 'required',
                    requireResidentKey: true,
                    userVerification: 'required',
                },
                attestation: 'none',
                timeout: 5 * minutes,
            },
        });

        return [rawId, response.clientDataJSON,
                response.getAuthenticatorData()];
    }


    for (const form of document.querySelectorAll('form[data-passkey]')) {
        form.addEventListener('submit', async (event) => {
            const button = form.querySelector('button');
            const told = form.querySelector('[role=alert]');

            event.preventDefault();
            button.disabled = true;
            told.hidden = true;

            try {
                const sign = form.dataset.passkey === 'vote' ? vote : enrol;
                const parts = await sign(form);

                form.elements.assertion.value = parts.map(base64url).join('.');
                form.submit();

            } catch (error) {
                told.textContent = 'Your passkey was not used: '
                                   + error.message;
                told.hidden = false;
                button.disabled = false;
            }
        });
    }
})();
