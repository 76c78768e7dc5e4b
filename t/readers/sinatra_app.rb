# Copyright (C) ngx_http_approval_module contributors
#
# Sinatra on Rack, with Rack::MethodOverride and rack-protection as they are by
# default:
#
#     ruby sinatra_app.rb puma|webrick PORT FILE

require 'json'
require 'sinatra/base'

SERVER, PORT, FILE = ARGV


def numbers(x)
  tries = [x.to_s.to_f, x.to_s.to_i,
           (Float(x) rescue nil), (Integer(x) rescue nil)]

  tries.compact.map(&:to_f).select(&:finite?).uniq
end


def tree(x)
  case x
  when Hash then { n: [], c: x.to_h { |k, v| [text(k), tree(v)] } }
  when Array then { n: [], l: x.map { |v| tree(v) } }
  when nil then { n: [], v: nil }
  when String, Numeric, true, false then { n: numbers(x), v: text(x) }
  else { n: [], v: nil }
  end
end


def text(x)
  x.to_s.dup.force_encoding('UTF-8').scrub
end


class Reader < Sinatra::Base
  set :environment, :production
  set :method_override, true
  set :show_exceptions, false
  set :raise_errors, false
  set :logging, false
  set :static, false

  def report(*paths)
    body = request.body.tap(&:rewind).read

    names = env.keys.grep(/\AHTTP_/)
    jar = request.cookies.to_h { |k, v| [text(k), [text(v)]] }

    heads = names.to_h { |k| [k[5..].downcase.tr('_', '-'), [text(env[k])]] }

    line = JSON.generate(
      probe: env['HTTP_X_PROBE'], place: env['HTTP_X_PLACE'],
      method: request.request_method,
      target: text(env['REQUEST_URI']).sub(%r{\Ahttps?://[^/]*}, ''),
      host: text(env['HTTP_HOST']), headers: heads,
      paths: [*paths, request.path_info, env['PATH_INFO']].map { |p| text(p) },
      query: tree(request.GET), form: tree(request.POST), cookies: jar,
      json: body.empty? ? nil : (tree(JSON.parse(body)) rescue nil)
    ) << "\n"

    File.open(FILE, 'a') { |f| f.syswrite(line) }

    content_type :json
    line
  end

  def self.any(rule, path)
    view = lambda do
      part = (params['id'] || params['splat']&.first).to_s
      paths = [path.sub('*') { part }]
      paths << path.sub('*') { part.gsub('/', '%2F') } if params['id']
      report(*paths)
    end

    %w[get post put delete patch options].each { |m| send(m, rule, &view) }
  end

  any '/admin/del', '/admin/del'
  any '/admin/users/:id', '/admin/users/*'
  any '/v1/things/:id', '/v1/things/*'
  any '/files/*', '/files/*'
  any '*', '*'

  error do
    status 400
    "not read\n"
  end
end


# since Rack 3 the handlers are in a gem of their own, and a body can be read
# only once

begin
  require 'rackup'
  HANDLER = Rackup::Handler
  APP = Rack::RewindableInput::Middleware.new(Reader)
rescue LoadError
  HANDLER = Rack::Handler
  APP = Reader
end

if SERVER == 'puma'
  HANDLER.get('puma').run(APP, Host: '127.0.0.1', Port: PORT, Silent: true,
                          Threads: '1:4')

else
  HANDLER.get('webrick').run(APP, Host: '127.0.0.1', Port: PORT,
                             Logger: WEBrick::Log.new(File::NULL),
                             AccessLog: [])
end
